//! A test that the tables of `docs/configuration.md` say what the types of the settings say: which there are, their types, ranges and
//! defaults, and whether a running gateway applies a change. What a setting means is written on the page. Where a range or a default
//! is no constant, the page has it in words.
//!
//! After a change of a setting, `PORTCULLIS_WRITE_PAGE=1 cargo test --release -p portcullis-gateway config::page` updates the page. A new
//! setting gets a row with its documentation as the meaning.

use std::path::Path;

use serde_json::Value;

use super::Config;
use super::schema::{alternatives, schema, target};

/// Tables of settings that the page describes in the row of the setting, or with another table.
const IN_THE_ROW: [&str; 9] = [
    "server.admin_tokens",
    "tenants.tokens",
    "tenants.senders.tokens",
    "plugins.limits",
    "plugins.sources",
    "plugins.trusted_keys",
    "tenants.trusted_keys",
    "dialects.ninety_nine.list_reasons",
    "dialects.ninety_nine.unblock_reasons",
];

/// Settings that SIGHUP applies, although others in their table need a restart.
const APPLIED: [&str; 2] = ["meta.app_secret", "meta.verify_token"];

/// A setting that is compared as a part of another.
const PART: (&str, &str) = ("storage.password", "storage.url");

const HEAD: &str =
    "| setting | type | range | default | SIGHUP | meaning |\n| --- | --- | --- | --- | --- | --- |\n";

/// A table of settings.
struct Table<'a> {
    /// The names of the tables around it, and its own.
    path: String,
    is_list: bool,
    schema: &'a Value,
    /// What it is if it is left out.
    default: &'a Value,
}

/// The tables in a table, with those in them.
fn tables<'a>(schema: &'a Value, path: &str, defs: &'a Value) -> Vec<Table<'a>> {
    let mut all = Vec::new();
    for (name, setting) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if IN_THE_ROW.contains(&path.as_str()) {
            continue;
        }
        for (kind, is_list) in alternatives(setting, defs).into_iter().flat_map(|kind| {
            let items = kind.get("items").map(|items| alternatives(items, defs)).unwrap_or_default();
            items.into_iter().map(|kind| (kind, true)).chain([(kind, false)])
        }) {
            if kind.get("properties").is_some() {
                let inner = tables(kind, &path, defs);
                all.push(Table { path: path.clone(), is_list, schema: kind, default: &setting["default"] });
                all.extend(inner);
            }
        }
    }
    all
}

/// The type of a setting, as on the page.
fn kind_of(setting: &Value, defs: &Value) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for schema in alternatives(setting, defs) {
        let kind = match schema["type"].as_str() {
            Some("array") => format!("list of {}s", kind_of(&schema["items"], defs)),
            Some("object") => "table".to_owned(),
            Some(kind) => kind.to_owned(),
            None => continue,
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(", or ")
}

/// A number with its thousands apart.
fn number(value: &Value) -> String {
    let Some(integer) = value.as_u64() else { return value.to_string() };
    let digits = integer.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The cell of the range; `None` if the types don't know it.
fn range(setting: &Value, cell: &str, defs: &Value) -> Option<String> {
    let mut values = Vec::new();
    for schema in alternatives(setting, defs) {
        let items = schema.get("items").map(|items| alternatives(items, defs)).unwrap_or_default();
        for schema in items.into_iter().chain([schema]) {
            values.extend(schema["enum"].as_array().into_iter().flatten());
            values.extend(schema.get("const"));
        }
    }
    if !values.is_empty() {
        let values: Vec<String> =
            values.iter().filter_map(|value| Some(format!("`{}`", value.as_str()?))).collect();
        return Some(values.join(", "));
    }
    let setting = target(setting, defs);
    let least = setting["minimum"].as_f64().unwrap_or(0.0);
    match setting.get("maximum").map(number) {
        // The least is another setting.
        Some(most) if least == 0.0 && cell.ends_with(&format!(" to {most}")) => None,
        Some(most) => Some(format!("{} to {most}", setting.get("minimum").map_or("0".to_owned(), number))),
        None if least > 0.0 => Some(format!("at least {}", number(&setting["minimum"]))),
        None => None,
    }
}

/// The cell of the default; `None` if it depends on something.
fn default(name: &str, table: &Table<'_>, cell: &str, defs: &Value) -> Option<String> {
    let setting = &table.schema["properties"][name];
    let value = match &setting["default"] {
        Value::Null => &table.default[name],
        value => value,
    };
    let names = |list: &Value| list.as_array().is_some_and(|names| names.contains(&name.into()));
    let one_of_two = table.schema["allOf"].as_array().into_iter().flatten();
    let is_required = names(&table.schema["required"])
        || one_of_two.into_iter().any(|choice| names(&choice["oneOf"][0]["required"]));
    match value {
        Value::Null if is_required => Some("required".to_owned()),
        Value::Null => (cell == "required").then(|| "none".to_owned()),
        Value::Number(_) => Some(number(value)),
        Value::Bool(value) => Some(format!("`{value}`")),
        Value::String(value) => Some(format!("`{value}`")),
        Value::Array(values) => (values.len() < 2).then(|| format!("`{value}`")),
        Value::Object(_) => target(setting, defs).get("properties").is_none().then(|| "`{}`".to_owned()),
    }
}

/// The cell of SIGHUP.
fn reload(path: &str, cell: &str, at_start: &[&str]) -> Option<String> {
    let path = if path == PART.0 { PART.1 } else { path };
    let needs = at_start.iter().any(|setting| {
        path.strip_prefix(setting).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    let needs = needs && !APPLIED.contains(&path);
    if needs && cell == "the file is read again" {
        return None;
    }
    Some(if needs { "restart" } else { "applied" }.to_owned())
}

/// The cell as it stands if it says what is right, maybe with more after it; otherwise what is right.
fn held(cell: &str, right: Option<String>) -> String {
    let Some(right) = right else { return cell.to_owned() };
    let more = cell.strip_prefix(&right);
    match more.is_some_and(|more| !more.starts_with(|c: char| c.is_alphanumeric() || c == '.')) {
        true => cell.to_owned(),
        false => right,
    }
}

/// The rows of a table, in the order of those on the page.
fn rows(on_page: &str, table: &Table<'_>, at_start: &[&str], defs: &Value) -> String {
    let settings = table.schema["properties"].as_object().unwrap();
    let own = |name: &&String| settings[*name].get("x-file-of").is_none();
    let mut cells: Vec<Vec<String>> = on_page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let name = |cells: &[String]| cells[0].trim_matches('`').to_owned();
    cells.retain(|cells| settings.contains_key(&name(cells)));
    for new in settings.keys().filter(own) {
        if cells.iter().all(|cells| name(cells) != *new) {
            let meaning = settings[new]["description"].as_str().unwrap_or_default().replace('\n', " ");
            let empty = String::new;
            cells.push(vec![format!("`{new}`"), empty(), empty(), "none".to_owned(), empty(), meaning]);
        }
    }
    let mut rows = String::new();
    for cells in cells {
        let name = name(&cells);
        let [_, type_cell, range_cell, default_cell, reload_cell, meaning] = &cells[..] else {
            panic!("{}.{name}: {} cells", table.path, cells.len())
        };
        let setting = &settings[&name];
        let path = format!("{}.{name}", table.path);
        let right = [
            held(type_cell, Some(kind_of(setting, defs))),
            held(range_cell, range(setting, range_cell, defs)),
            held(default_cell, default(&name, table, default_cell, defs)),
            held(reload_cell, reload(&path, reload_cell, at_start)),
            meaning.clone(),
        ];
        rows.push_str(&format!("| `{name}`"));
        for cell in right {
            // An empty cell has one space.
            rows.push_str(if cell.is_empty() { " |" } else { " | " });
            rows.push_str(&cell);
        }
        rows.push_str(" |\n");
    }
    rows
}

/// The page as it should be.
fn corrected(page: &str) -> String {
    let schema = schema();
    let defs = &schema["$defs"];
    let text = "[server]\nlisten = \"127.0.0.1:0\"\n[storage]\nurl = \"sqlite://p.db\"\n";
    let config = Config::parse(Path::new("p.toml"), text, |_| ["exact".to_owned()].into()).unwrap();
    let at_start: Vec<&str> = config.read_at_start(&config).into_iter().map(|(setting, _)| setting).collect();
    let mut page = page.to_owned();
    for table in tables(&schema, "", defs) {
        let (open, close) = if table.is_list { ("[[", "]]") } else { ("[", "]") };
        let heading = format!("# `{open}{}{close}`\n", table.path);
        let Some(start) = page.find(&heading).map(|at| at + heading.len()) else {
            panic!(
                "docs/configuration.md lacks a section `{open}{}{close}`; write its heading, or add it to IN_THE_ROW",
                table.path
            )
        };
        let end = page[start..].find("\n#").map_or(page.len(), |length| start + length);
        let section = &page[start..end];
        let right = match section.find(HEAD).map(|at| at + HEAD.len()) {
            Some(first) => {
                let last = section[first..].find("\n\n").map_or(section.len(), |length| first + length + 1);
                let rows = rows(&section[first..last], &table, &at_start, defs);
                format!("{}{rows}{}", &section[..first], &section[last..])
            }
            None => format!("{section}\n{HEAD}{}", rows("", &table, &at_start, defs)),
        };
        page.replace_range(start..end, &right);
    }
    page
}

#[test]
fn the_tables_of_the_page_say_what_the_types_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&file).unwrap();
    let right = corrected(&page);
    if std::env::var_os("PORTCULLIS_WRITE_PAGE").is_some() {
        std::fs::write(&file, right).unwrap();
        return;
    }
    let lines = page.lines().zip(right.lines());
    let wrong: Vec<String> =
        lines.filter(|(is, should)| is != should).map(|(is, should)| format!("- {is}\n+ {should}")).collect();
    assert!(
        page == right,
        "docs/configuration.md differs from the types of the settings; write it anew with\n\
         PORTCULLIS_WRITE_PAGE=1 cargo test --release -p portcullis-gateway config::page\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_page_names_every_file_of_a_secret() {
    let page = include_str!("../../../../docs/configuration.md");
    let schema = schema();
    for table in tables(&schema, "", &schema["$defs"]) {
        for (name, setting) in table.schema["properties"].as_object().unwrap() {
            let file = format!("`{}.{name}`", table.path);
            assert!(
                setting.get("x-file-of").is_none() || page.contains(&file),
                "docs/configuration.md lacks {file}"
            );
        }
    }
}

#[test]
fn a_wrong_cell_is_replaced_and_more_words_are_kept() {
    let right = || Some("16".to_owned());
    assert_eq!(held("16 (sixteen)", right()), "16 (sixteen)");
    assert_eq!(held("16", right()), "16");
    for wrong in ["160", "16.5", "", "none"] {
        assert_eq!(held(wrong, right()), "16");
    }
}
