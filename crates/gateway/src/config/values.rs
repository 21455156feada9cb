//! Values that stand elsewhere than in the configuration file: `${NAME}` in a string is the variable of the environment, and a setting
//! such as `admin_token_file` names a file that has the value of `admin_token`.
//!
//! Only the configuration file has them. A request to the admin API is read as it is, as its client must not read the gateway's files.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::shape::{Secret, Shape};

/// The longest file with a secret, in bytes.
const LONGEST: u64 = 64 << 10;
/// What is shorter is too likely a part of other words to be hidden in messages, in bytes.
const SHORTEST: usize = 4;
/// Names a credential that systemd passes, instead of a path.
const CREDENTIAL: &str = "credential:";
/// Where systemd puts credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Where values are found.
#[derive(Clone, Copy)]
pub(super) struct Surroundings {
    variable: fn(&str) -> Option<OsString>,
    read: fn(&Path) -> io::Result<String>,
}

impl Surroundings {
    /// The environment of this process, and the files that it can read.
    pub(super) const PROCESS: Self = Surroundings { variable: |name| std::env::var_os(name), read };
    /// No variables, and no files.
    pub(super) const NONE: Self =
        Surroundings { variable: |_| None, read: |_| Err(io::ErrorKind::NotFound.into()) };
}

/// Reads a file with a secret.
fn read(path: &Path) -> io::Result<String> {
    // Reading another kind, such as a pipe that nobody writes to, might never end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 64 KiB"));
    }
    Ok(text)
}

/// What is wrong with a value, and where.
#[derive(Debug)]
pub(super) struct Misplaced {
    /// In bytes from the start of the text.
    pub(super) offset: usize,
    pub(super) place: String,
    pub(super) what: String,
}

/// What was found elsewhere.
#[derive(Default)]
pub(super) struct Elsewhere {
    /// Values, and what is shown in place of each. The longest first.
    values: Vec<(String, String)>,
    /// The files that were read.
    pub(super) files: Vec<PathBuf>,
    /// Whether the text itself has secrets in clear.
    pub(super) has_secrets: bool,
}

impl Elsewhere {
    /// A message in which what was found elsewhere is not shown.
    pub(super) fn hidden(&self, message: String) -> String {
        self.values.iter().fold(message, |message, (value, shown)| match message.contains(value.as_str()) {
            true => message.replace(value.as_str(), shown),
            false => message,
        })
    }
}

/// Puts all values into the document. `folder` is the one that paths are relative to.
///
/// # Errors
/// All values that are not there, or can't be told. None of them shows a value.
pub(super) fn resolve(
    document: &mut DeTable<'_>,
    folder: &Path,
    surroundings: Surroundings,
) -> Result<Elsewhere, Vec<Misplaced>> {
    let mut walk = Walk { folder, surroundings, found: Elsewhere::default(), wrong: Vec::new() };
    walk.table(document, Shape::of_the_file(), "");
    if !walk.wrong.is_empty() {
        return Err(walk.wrong);
    }
    walk.found.values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    walk.found.values.dedup();
    Ok(walk.found)
}

struct Walk<'a> {
    folder: &'a Path,
    surroundings: Surroundings,
    found: Elsewhere,
    wrong: Vec<Misplaced>,
}

impl Walk<'_> {
    fn wrong(&mut self, at: &Range<usize>, place: &str, what: impl Into<String>) {
        self.wrong.push(Misplaced { offset: at.start, place: place.to_owned(), what: what.into() });
    }

    fn table(&mut self, table: &mut DeTable<'_>, shape: &Shape, place: &str) {
        for (key, value) in table.iter_mut() {
            let key: &str = key.get_ref();
            if shape.secrets.iter().any(|secret| secret.file == key) {
                continue;
            }
            if let Some(secret) = shape.secrets.iter().find(|secret| secret.name == key) {
                self.found.has_secrets |= is_in_clear(value.get_ref(), secret);
            }
            self.value(value, shape.table(key), &inner(place, key));
        }
        for secret in &shape.secrets {
            self.secret(table, secret, &inner(place, &secret.file));
        }
    }

    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, shape: &Shape, place: &str) {
        let span = value.span();
        match value.get_mut() {
            DeValue::String(text) if text.contains("${") => match self.expanded(text) {
                Ok(expanded) => *text = Cow::Owned(expanded),
                Err(what) => self.wrong(&span, place, what),
            },
            DeValue::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, shape, &format!("{place}[{index}]"));
                }
            }
            DeValue::Table(table) => self.table(table, shape, place),
            _ => {}
        }
    }

    /// Reads the file that a setting names, and puts what it has in the place of the setting.
    fn secret(&mut self, table: &mut DeTable<'_>, secret: &Secret, place: &str) {
        let Some((key, value)) = table.remove_entry(secret.file.as_str()) else { return };
        let (named, span) = (key.span(), value.span());
        if table.contains_key(secret.name.as_str()) {
            let what = format!("{} is set, too; set one of the two", secret.name);
            return self.wrong(&named, place, what);
        }
        let value = match value.into_inner() {
            DeValue::String(path) if secret.is_one => self.file(&path, &span, place),
            DeValue::String(path) if secret.is_list => self.file(&path, &span, place).map(|value| {
                let mut list = DeArray::new();
                list.push(Spanned::new(span.clone(), value));
                DeValue::Array(list)
            }),
            DeValue::Array(items) if secret.is_list => {
                let mut list = DeArray::new();
                for (index, item) in items.iter().enumerate() {
                    let place = format!("{place}[{index}]");
                    match item.get_ref() {
                        DeValue::String(path) => {
                            if let Some(value) = self.file(path, &item.span(), &place) {
                                list.push(Spanned::new(item.span(), value));
                            }
                        }
                        _ => self.wrong(&item.span(), &place, "must be a string: the path of a file"),
                    }
                }
                Some(DeValue::Array(list))
            }
            _ => {
                let what = if secret.is_list { "a path, or a list of paths" } else { "a path" };
                self.wrong(
                    &span,
                    place,
                    format!("must be {what} of files that have the value of {}", secret.name),
                );
                None
            }
        };
        if let Some(value) = value {
            table.insert(Spanned::new(named, Cow::Owned(secret.name.clone())), Spanned::new(span, value));
        }
    }

    /// The text of a file, without one newline at its end.
    fn file<'i>(&mut self, written: &str, span: &Range<usize>, place: &str) -> Option<DeValue<'i>> {
        let path = match self.path(written) {
            Ok(path) => path,
            Err(what) => {
                self.wrong(span, place, what);
                return None;
            }
        };
        match (self.surroundings.read)(&path) {
            Ok(mut text) => {
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                self.found.files.push(path);
                self.hide(&text, written);
                Some(DeValue::String(Cow::Owned(text)))
            }
            Err(error) => {
                // The path as it is written: a variable in it is not shown.
                let what = format!(
                    "can't read {written}: {error}; name a text file that the gateway's user can read"
                );
                self.wrong(span, place, what);
                None
            }
        }
    }

    /// The path of a file with a secret.
    fn path(&mut self, written: &str) -> Result<PathBuf, String> {
        let Some(name) = written.strip_prefix(CREDENTIAL) else {
            let path = self.expanded(written)?;
            return match path.is_empty() {
                true => Err("the path is empty; name a file, or leave the setting out".to_owned()),
                false => Ok(self.folder.join(path)),
            };
        };
        if name.is_empty() || name.contains(['/', '\\']) || matches!(name, "." | "..") {
            return Err(format!(
                "write the name of a credential, without slashes, as in {CREDENTIAL}admin_token"
            ));
        }
        match (self.surroundings.variable)(CREDENTIALS) {
            Some(folder) => Ok(PathBuf::from(folder).join(name)),
            None => Err(format!(
                "{CREDENTIALS} is not set, so there are no credentials; pass them with LoadCredential= in the unit of systemd, or name a path"
            )),
        }
    }

    /// The text with the values of variables in it.
    fn expanded(&mut self, text: &str) -> Result<String, String> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$${") {
                expanded.push_str("${");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("${") {
                let (name, after) = after.split_once('}').filter(|(name, _)| is_variable(name)).ok_or(
                    "`${` begins the name of a variable, as in ${NAME}, of letters, digits and '_'; write $${ for the characters themselves",
                )?;
                let value = (self.surroundings.variable)(name).ok_or_else(|| {
                    format!("the variable {name} is not set in the gateway's environment; set it, or write $${{ for the characters ${{")
                })?;
                let value = value.into_string().map_err(|_| format!("the variable {name} is not UTF-8"))?;
                expanded.push_str(&value);
                self.hide(&value, &format!("${{{name}}}"));
                rest = after;
            } else {
                expanded.push('$');
                rest = &rest[1..];
            }
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    fn hide(&mut self, value: &str, shown: &str) {
        if value.len() >= SHORTEST {
            self.found.values.push((value.to_owned(), shown.to_owned()));
        }
    }
}

/// The place of a setting in a table. A key that is not a name of a setting may be anything, and is not shown.
fn inner(place: &str, key: &str) -> String {
    let is_name = key.len() <= 40
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    match (place.is_empty(), is_name) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{place}.{key}"),
        (_, false) => place.to_owned(),
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a reader of the text gets a secret from it.
fn is_in_clear(value: &DeValue<'_>, secret: &Secret) -> bool {
    match value {
        DeValue::String(text) if secret.is_url => portcullis_api::masked_url(text) != **text,
        DeValue::String(text) => !text.is_empty() && !text.contains("${") && !text.starts_with("sha256:"),
        DeValue::Array(items) => items.iter().any(|item| is_in_clear(item.get_ref(), secret)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURROUNDINGS: Surroundings = Surroundings {
        variable: |name| match name {
            "TOKEN" => Some("from-the-environment".into()),
            "EMPTY" => Some(String::new().into()),
            CREDENTIALS => Some("/run/credentials/portcullis".into()),
            _ => None,
        },
        read: |path| match path.to_str().unwrap() {
            "/etc/portcullis/admin.token" => Ok("from-a-file\n".to_owned()),
            "/etc/portcullis/lines" => Ok("two\r\n\r\n".to_owned()),
            "/run/credentials/portcullis/app" => Ok("from-${TOKEN}-systemd".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
    };

    fn resolved(text: &str) -> Result<(toml::Table, Elsewhere), Vec<String>> {
        let mut document = DeTable::parse(text).unwrap();
        let found =
            resolve(document.get_mut(), Path::new("/etc/portcullis"), SURROUNDINGS).map_err(|wrong| {
                wrong.into_iter().map(|wrong| format!("{}: {}", wrong.place, wrong.what)).collect::<Vec<_>>()
            })?;
        let table = serde::Deserialize::deserialize(toml::Deserializer::from(document)).unwrap();
        Ok((table, found))
    }

    #[test]
    fn values_come_from_variables_files_and_credentials() {
        let text = r#"
            [server]
            listen = "127.0.0.1:0"
            admin_token_file = "admin.token"
            [storage]
            url = "sqlite://${EMPTY}p$.db"
            [meta]
            app_secret_file = ["credential:app", "${EMPTY}lines"]
            verify_token = "x-${TOKEN}$$"
            [[tenants]]
            id = "acme"
            plugin_options = { a = ["$${TOKEN}", { b = "${TOKEN}" }] }
        "#;
        let (table, found) = resolved(text).unwrap();
        assert_eq!(table["server"]["admin_token"].as_str(), Some("from-a-file"));
        assert_eq!(table["server"].get("admin_token_file"), None);
        assert_eq!(table["storage"]["url"].as_str(), Some("sqlite://p$.db"));
        let secrets: Vec<_> =
            table["meta"]["app_secret"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
        // What a file has is not read again.
        assert_eq!(secrets, ["from-${TOKEN}-systemd", "two\r\n"]);
        assert_eq!(table["meta"]["verify_token"].as_str(), Some("x-from-the-environment$$"));
        let options = &table["tenants"][0]["plugin_options"]["a"];
        assert_eq!(options[0].as_str(), Some("${TOKEN}"));
        assert_eq!(options[1]["b"].as_str(), Some("from-the-environment"));
        assert_eq!((found.files.len(), found.has_secrets), (3, false));
        let message = found.hidden("no from-the-environment, no from-a-file".to_owned());
        assert_eq!(message, "no ${TOKEN}, no admin.token");
    }

    #[test]
    fn all_that_is_not_there_is_told_without_values() {
        let text = r#"
            [server]
            listen = "${NOWHERE}"
            admin_token = "a"
            admin_token_file = "admin.token"
            [meta]
            app_secret_file = "${TOKEN}/app"
            verify_token_file = 5
            upstream = "${TOKEN"
            [[tenants]]
            events = { url = "http://h", secret_file = "credential:../app" }
            tokens_file = [7]
        "#;
        let mut wrong = resolved(text).err().unwrap();
        wrong.sort();
        let expected = [
            "meta.app_secret_file: can't read ${TOKEN}/app: ",
            "meta.upstream: `${` begins the name of a variable",
            "meta.verify_token_file: must be a path, or a list of paths",
            "server.admin_token_file: admin_token is set, too",
            "server.listen: the variable NOWHERE is not set",
            "tenants[0].events.secret_file: write the name of a credential",
            "tenants[0].tokens_file[0]: must be a string",
        ];
        assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
        for (wrong, expected) in wrong.iter().zip(expected) {
            assert!(wrong.starts_with(expected), "{wrong}");
            assert!(!wrong.contains("from-the-environment"), "{wrong}");
        }
    }

    #[test]
    fn a_text_with_secrets_is_told_from_one_with_digests_and_names() {
        let has = |settings: &str| resolved(settings).unwrap().1.has_secrets;
        assert!(has("[server]\nadmin_token = \"clear\""));
        assert!(has("[[tenants]]\ntokens = [\"sha256:00\", \"clear\"]"));
        assert!(has("[storage]\nurl = \"postgres://u:p@h/d\""));
        assert!(!has("[server]\nadmin_token = \"${TOKEN}\"\n[storage]\nurl = \"sqlite://p.db\""));
        assert!(!has("[[tenants]]\ntokens = [\"sha256:00\"]"));
    }
}
