//! What arrives: everything.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::{
    Block, Claim, DeliveryKey, DisplayForm, Entry, HoldKind, Label, Ledger, Link, List, Paging, Reason,
    Record, Scope, Seq, Source, StatusFilter, Unblock, UserId, Whom, Write,
};
use portcullis_ledger_model::table::TABLES;
use portcullis_migration::{ListContents, survey};
use portcullis_msisdn::{Directions, Msisdn, Subject};

use crate::cluster::{cluster, name_of};
use crate::contract::fixture::{actor, block, limit, one, sender, subject, tenant, time, unblock};
use crate::ledger_dir::{Folder, Kind, WAYS, master, open, place, reopen, try_to_move};

const USERS: [&str; 3] = ["MX.1", "MX.ENT.1", "stranger"];
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// A delivery that was made, and one that was claimed.
const MADE: DeliveryKey = DeliveryKey([0xfe; 16]);
const CLAIMED: DeliveryKey = DeliveryKey([3; 16]);

fn claim(ledger: &Ledger, key: DeliveryKey) -> Claim {
    ledger.deliveries().claim(&[key], WEEK).unwrap().each[0]
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn number(list: &List, number: &str) -> Subject {
    list.keys().permutation().subject(Msisdn::parse(number).unwrap())
}

/// Fills a ledger with some of everything.
pub(crate) fn fill(ledger: &Ledger) {
    // Its ids must not be used again.
    let forgotten = ledger.list(&tenant("forgotten"), Scope::Tenant).unwrap();
    one(&forgotten, block(1, Directions::BOTH));
    ledger.put_settings(&tenant("initech"), b"plugin = \"exact\"").unwrap();
    for (name, scope) in [
        ("acme", Scope::Tenant),
        ("acme", sender("bot")),
        ("initech", sender("bot")),
        ("initech", sender("empty")),
    ] {
        let list = ledger.list(&tenant(name), scope).unwrap();
        if *list.scope() == sender("empty") {
            continue;
        }
        let far = Timestamp::now() + jiff::SignedDuration::from_hours(1000);
        let far = time(far.as_millisecond());
        let told = Write::from(Block {
            hold: HoldKind::OptOut,
            source: Source::OptOut,
            label: Some(Label::new("sms").unwrap()),
            reason: Some(Reason::new("STOP, said é").unwrap()),
            display: Some(DisplayForm::new("+46 73-200 11 22").unwrap()),
            expires: Some(far),
            requested: Some(time(1_700_000_000_123)),
            ..Block::new(subject(7), Directions::INBOUND, actor("crm").at("2001:db8::7".parse().unwrap()))
        });
        list.write(vec![told, block(7, Directions::OUTBOUND), block(8, Directions::BOTH)]).unwrap();
        list.write(vec![unblock(8, Directions::OUTBOUND), block(9, Directions::BOTH)]).unwrap();
        let through = actor("desk").at("192.0.2.7".parse().unwrap()).through("native").unwrap();
        list.write(vec![Unblock::new(subject(9), Directions::BOTH, through).into()]).unwrap();
        let (left, reached) = (number(&list, "+46732001122"), number(&list, "+46732001133"));
        list.write(vec![Block::new(left, Directions::BOTH, actor("crm")).into()]).unwrap();
        list.write(vec![Block::new(Whom::User(user("MX.1")), Directions::BOTH, actor("crm")).into()])
            .unwrap();
        let link = |number, users: &[&str], left, second: i64| Link {
            number: Some(number),
            users: users.iter().map(|id| user(id)).collect(),
            left,
            at: Some(time(second * 1000)),
            actor: actor("vendor"),
        };
        list.link(link(left, &["MX.1"], None, 1_700_000_000)).unwrap();
        list.link(link(reached, &["MX.ENT.1"], Some(left), 1_700_000_100)).unwrap();
        list.ensure_person_of_user(&user("stranger")).unwrap();
        list.set_event_cursor(Seq::new(2)).unwrap();
        list.keep_visits(&[(subject(7), time(1_700_000_000_001))], time(0)).unwrap();
        list.allow_confirmation(subject(7), WEEK).unwrap();
        list.remember_message(subject(7), "wamid.1").unwrap();
    }
    ledger.deliveries().finish(&[MADE]).unwrap();
    assert_eq!(claim(ledger, CLAIMED), Claim::Granted);
    ledger.deliveries().keep_deliveries().unwrap();
    ledger.forget_tenant(&tenant("forgotten")).unwrap();
}

/// Everything that can be seen of a list.
#[derive(Debug, PartialEq)]
struct Seen {
    scope: Scope,
    entries: Vec<Entry>,
    ids: Vec<String>,
    records: Vec<Record>,
    histories: Vec<Vec<Record>>,
    members: Vec<(Subject, Directions)>,
    users: Vec<Option<Vec<Subject>>>,
    cursor: Option<Seq>,
    visits: Vec<(Subject, Timestamp)>,
    messages: Vec<bool>,
    position: (Seq, u64),
}

/// Everything that can be seen of a ledger.
#[derive(Debug, PartialEq)]
pub(crate) struct All {
    tenants: Vec<String>,
    settings: Vec<(String, Vec<u8>)>,
    lists: Vec<Seen>,
    counts: HashMap<portcullis_ledger::ListId, u64>,
    next_expiry: Option<Timestamp>,
    deliveries: [bool; 2],
}

pub(crate) fn all(ledger: &Ledger) -> All {
    let mut lists = Vec::new();
    let tenants = ledger.tenants().unwrap();
    for tenant in &tenants {
        for scope in ledger.lists(tenant).unwrap() {
            lists.push(seen(&ledger.list(tenant, scope).unwrap()));
        }
    }
    let settings = ledger.settings().unwrap().into_iter();
    All {
        tenants: tenants.iter().map(ToString::to_string).collect(),
        settings: settings.map(|(tenant, settings)| (tenant.to_string(), settings)).collect(),
        lists,
        counts: ledger.counts().unwrap(),
        next_expiry: ledger.next_expiry().unwrap(),
        deliveries: [MADE, CLAIMED].map(|key| ledger.deliveries().is_done(key).unwrap()),
    }
}

fn seen(list: &List) -> Seen {
    let entries = list.page(Paging::Start, limit(100_000), StatusFilter::All).unwrap().entries;
    let history = |entry: &Entry| list.history(&[entry.subject], None, limit(1000)).unwrap().records;
    let users = USERS.iter().map(|id| list.person_of_user(&user(id)).unwrap());
    Seen {
        scope: list.scope().clone(),
        ids: entries.iter().map(|entry| list.public_id(entry.subject).to_string()).collect(),
        records: list.trail(None, limit(100_000)).unwrap().records,
        histories: entries.iter().take(100).map(history).collect(),
        members: list.members(None, limit(100_000)).unwrap(),
        users: users.map(|person| person.map(|person| person.to_vec())).collect(),
        cursor: list.event_cursor().unwrap(),
        visits: list.visits(time(0)).unwrap(),
        messages: ["wamid.1", "wamid.2"].map(|id| list.remembers_message(subject(7), id).unwrap()).to_vec(),
        position: (list.sequence().unwrap(), list.count().unwrap()),
        entries,
    }
}

/// Opens a new ledger with some of everything, and closes it. Returns what there is to be seen.
pub(crate) fn new_ledger(url: &str) -> All {
    let ledger = open(url, &portcullis_ledger::Opening::default()).unwrap();
    fill(&ledger);
    all(&ledger)
}

#[test]
fn everything_arrives_and_goes_back() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there, back) = (folder.place(from), folder.place(to), folder.place(from));
        let before = new_ledger(&here);
        try_to_move(&here, &there).unwrap();
        assert_eq!(all(&reopen(&there).unwrap()), before, "{from:?} to {to:?}");
        try_to_move(&there, &back).unwrap();
        let ledger = reopen(&back).unwrap();
        assert_eq!(all(&ledger), before, "{to:?} to {from:?}");
        // It goes on as if it had never been away.
        let list = ledger.list(&tenant("acme"), sender("bot")).unwrap();
        let sequence = list.sequence().unwrap();
        one(&list, block(77, Directions::BOTH));
        assert_eq!(list.sequence().unwrap(), Seq::new(sequence.get() + 1));
        assert!(!list.is_damaged() && list.check_user_ids().is_ok());
        assert!(list.take_confirmation(subject(7)).unwrap());
        assert!(!list.take_confirmation(subject(7)).unwrap());
        assert_eq!([MADE, CLAIMED].map(|key| claim(&ledger, key)), [Claim::Done, Claim::Granted]);
    }
}

#[test]
fn ids_are_not_used_again() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        let ledger = open(&here, &portcullis_ledger::Opening::default()).unwrap();
        fill(&ledger);
        let last = ledger.list(&tenant("acme"), sender("last")).unwrap();
        let (id, dead) = (last.id(), ledger.list(&tenant("gone"), Scope::Tenant).unwrap().id());
        ledger.forget_tenant(&tenant("gone")).unwrap();
        drop((last, ledger));
        try_to_move(&here, &there).unwrap();
        let ledger = reopen(&there).unwrap();
        let new = ledger.list(&tenant("gone"), Scope::Tenant).unwrap().id();
        assert!(new != dead && new != id, "{from:?} to {to:?}: {new:?}, {dead:?}, {id:?}");
        if (from, to) == (Kind::File, Kind::File) {
            assert!(new.0 > dead.0 && dead.0 > id.0, "{new:?}, {dead:?}, {id:?}");
        }
        // So do those of people.
        let list = ledger.list(&tenant("acme"), sender("bot")).unwrap();
        let known: Vec<Subject> =
            USERS.iter().flat_map(|id| list.person_of_user(&user(id)).unwrap().unwrap().to_vec()).collect();
        let another = list.ensure_person_of_user(&user("another")).unwrap();
        assert!(another.iter().all(|subject| !known.contains(subject)));
    }
}

#[test]
fn long_lists_arrive_in_pages() {
    const MANY: u64 = 25_000;
    let folder = Folder::new();
    let (here, there, back) =
        (folder.place(Kind::File), folder.place(Kind::Database), folder.place(Kind::File));
    let key = |number: u64| DeliveryKey(u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes());
    let deliveries: Vec<DeliveryKey> = (0..MANY).map(key).collect();
    let before = {
        let ledger = open(&here, &portcullis_ledger::Opening::default()).unwrap();
        let list = ledger.list(&tenant("acme"), Scope::Tenant).unwrap();
        list.write((0..MANY).map(|value| block(value << 30 | value, Directions::BOTH)).collect()).unwrap();
        ledger.deliveries().finish(&deliveries).unwrap();
        ledger.deliveries().keep_deliveries().unwrap();
        all(&ledger)
    };
    let contents = try_to_move(&here, &there).unwrap();
    assert_eq!((contents.entries(), contents.records()), (MANY, MANY));
    try_to_move(&there, &back).unwrap();
    let ledger = reopen(&back).unwrap();
    assert_eq!(all(&ledger), before);
    assert!(deliveries.iter().all(|key| ledger.deliveries().is_done(*key).unwrap()));
}

#[test]
fn what_is_left_of_forgotten_tenants_is_not_moved() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        new_ledger(&here);
        let ledger = reopen(&here).unwrap();
        let list = ledger.list(&tenant("gone"), Scope::Tenant).unwrap();
        list.ensure_person_of_user(&user("MX.9")).unwrap();
        list.keep_visits(&[(subject(7), time(1_700_000_000_001))], time(0)).unwrap();
        list.allow_confirmation(subject(7), WEEK).unwrap();
        list.write((0..20_000).map(|value| block(value, Directions::BOTH)).collect()).unwrap();
        drop(list);
        if from == Kind::File {
            // Closing it does not wait for the deletion.
            ledger.forget_tenant(&tenant("gone")).unwrap();
        }
        let before = all(&ledger);
        drop(ledger);
        let left = match from {
            Kind::File => {
                let file = rusqlite::Connection::open(here.strip_prefix("sqlite://").unwrap()).unwrap();
                file.query_row("SELECT count(*) FROM entries", (), |row| row.get::<_, i64>(0)).unwrap()
            }
            // As a gateway that ends before it has deleted them leaves them.
            Kind::Database => {
                let sql = "DELETE FROM secrets WHERE tenant = (SELECT id FROM tenants WHERE name = 'gone');
                    UPDATE lists SET id = -id WHERE tenant = (SELECT id FROM tenants WHERE name = 'gone');
                    UPDATE tenants SET name = 'forgotten ' || id WHERE name = 'gone';
                    SELECT count(*) FROM entries";
                cluster().sql(name_of(&here), sql).trim().parse().unwrap()
            }
        };
        assert!(left > 100, "{from:?}: {left} rows are left");
        let contents = try_to_move(&here, &there).unwrap();
        assert_eq!(contents.tenants, 2);
        let ledger = reopen(&there).unwrap();
        let arrived = all(&ledger);
        assert_eq!(arrived.tenants, ["acme", "initech"]);
        if from == Kind::File {
            assert_eq!(arrived, before, "{from:?} to {to:?}");
        }
        let rows: u64 = contents.lists.iter().map(|list| list.entries).sum();
        assert!(rows < 100, "{rows}");
        ledger.list(&tenant("gone"), Scope::Tenant).unwrap();
    }
}

#[test]
fn a_survey_says_what_would_be_moved_and_changes_nothing() {
    for (from, to) in WAYS {
        let folder = Folder::new();
        let (here, there) = (folder.place(from), folder.place(to));
        let before = new_ledger(&here);
        let contents = survey(&place(&here), &place(&there), &master()).unwrap();
        let lists: Vec<String> = contents.lists.iter().map(ListContents::to_string).collect();
        // How many: two blocks in the same millisecond are linked with one record less.
        let records = before.lists[0].records.len();
        assert_eq!(
            lists[0],
            format!(
                "tenant acme, the tenant-wide list: 6 entries, of which 4 are in force, and {records} records of its history"
            )
        );
        assert_eq!((contents.tenants, lists.len()), (2, 4));
        assert_eq!(all(&reopen(&here).unwrap()), before);
        // The target is as empty as it was.
        open(&there, &portcullis_ledger::Opening::default().new_ledger(true)).unwrap();
    }
}

#[test]
fn all_columns_of_the_database_are_copied_or_its_own() {
    let url = cluster().database();
    drop(open(&url, &portcullis_ledger::Opening::default()).unwrap());
    let sql = "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'";
    let found = cluster().sql(name_of(&url), sql);
    let copied: BTreeSet<String> = TABLES
        .iter()
        .flat_map(|table| table.columns.iter().map(|column| format!("{}.{column}", table.name)))
        .collect();
    let found: BTreeSet<&str> = found.lines().collect();
    assert!(copied.iter().all(|column| found.contains(column.as_str())), "{copied:?}");
    let own: Vec<&str> = found.into_iter().filter(|column| !copied.contains(*column)).collect();
    let own_tables = ["commits.", "leases.", "ledger.", "nodes.", "plugins.", "states."];
    let of_shared: Vec<&str> =
        own.into_iter().filter(|column| !own_tables.iter().any(|table| column.starts_with(table))).collect();
    assert_eq!(of_shared, ["deliveries.claim", "lists.mark", "tenants.people"]);
}
