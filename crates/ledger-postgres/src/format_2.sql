-- What gateways do once between them.

CREATE TABLE deliveries (
    key bytea PRIMARY KEY,
    claim bigint NOT NULL,
    until timestamptz NOT NULL,
    is_done boolean NOT NULL DEFAULT false
) WITH (fillfactor = 70);
COMMENT ON TABLE deliveries IS 'Webhooks that were delivered, and messages that were handled, so that those that arrive again, at any gateway, are recognized.';
COMMENT ON COLUMN deliveries.key IS 'A keyed hash, which tells nothing about the message.';
COMMENT ON COLUMN deliveries.claim IS 'A random number of the gateway''s attempt.';
COMMENT ON COLUMN deliveries.until IS 'When another gateway may try, or, if it is done, when it is forgotten.';

CREATE TABLE confirmations (
    list integer NOT NULL,
    subject bigint NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (list, subject)
);
COMMENT ON TABLE confirmations IS 'Who may still be sent one message after opting out. The gateway that deletes the row sends it.';
