-- What format 2 adds to the tables of format 1, which gateways of format 1 go on using meanwhile.

ALTER TABLE ledger ADD COLUMN expanded integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN ledger.format IS 'The oldest format that a gateway may be of: older ones refuse to start. `portcullis migrate --finish` raises it.';
COMMENT ON COLUMN ledger.expanded IS 'The format whose tables these are: at least that of the newest gateway. The first gateway of a newer format raises it.';

ALTER TABLE commits ADD COLUMN format integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN commits.format IS 'The format of the gateway. None is older than ledger.format, so that one which was cut off when that was raised writes nothing.';

CREATE TABLE deliveries (
    key bytea PRIMARY KEY,
    claim bigint,
    until timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE deliveries IS 'Webhooks that were delivered, and messages that were handled, so that those that arrive again, at any gateway, are recognized.';
COMMENT ON COLUMN deliveries.key IS 'A keyed hash, which tells nothing about the message.';
COMMENT ON COLUMN deliveries.claim IS 'A random number of the gateway''s attempt. NULL if it is done.';
COMMENT ON COLUMN deliveries.until IS 'When another gateway may try, or, if it is done, when it is forgotten.';

CREATE TABLE confirmations (
    list integer NOT NULL,
    subject bigint NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (list, subject)
);
COMMENT ON TABLE confirmations IS 'Who may still be sent one message after opting out. The gateway that deletes the row sends it.';
