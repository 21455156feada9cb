//! Where secrets may stand in a configuration file, from its schema.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::schema::{alternatives, schema};

/// A table of settings: its secrets, and the tables in it. Lists of tables are as one table.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) secrets: Vec<Secret>,
    tables: BTreeMap<String, Shape>,
}

/// A setting that is a secret, or has one in it.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) name: String,
    /// The name of the setting that names a file with the value.
    pub(super) file: String,
    /// Whether it may be a single text.
    pub(super) is_one: bool,
    /// Whether it may be a list of texts.
    pub(super) is_list: bool,
    /// Whether it is shown, except for a password in it.
    pub(super) is_url: bool,
}

static ALL: LazyLock<Shape> = LazyLock::new(|| {
    let schema = schema();
    Shape::of(&[&schema], &schema["$defs"])
});
static NONE: Shape = Shape { secrets: Vec::new(), tables: BTreeMap::new() };

impl Shape {
    /// The shape of the whole file.
    pub(super) fn of_the_file() -> &'static Self {
        &ALL
    }

    /// The shape of a table in this one.
    pub(super) fn table(&self, name: &str) -> &Self {
        self.tables.get(name).unwrap_or(&NONE)
    }

    fn of(schemas: &[&Value], defs: &Value) -> Self {
        let mut shape = Shape { secrets: Vec::new(), tables: BTreeMap::new() };
        for (name, setting) in
            schemas.iter().flat_map(|schema| schema["properties"].as_object().into_iter().flatten())
        {
            if let Some(of) = setting["x-file-of"].as_str() {
                let kinds = alternatives(setting, defs);
                let has = |kind: &str| kinds.iter().any(|schema| schema["type"] == kind);
                let is_url = schemas.iter().any(|schema| schema["properties"][of]["x-file"] == true);
                let (name, file) = (of.to_owned(), name.clone());
                shape.secrets.push(Secret {
                    name,
                    file,
                    is_one: has("string"),
                    is_list: has("array"),
                    is_url,
                });
                continue;
            }
            let mut inner = alternatives(setting, defs);
            let items = inner
                .iter()
                .filter_map(|schema| schema.get("items"))
                .flat_map(|items| alternatives(items, defs));
            let items: Vec<&Value> = items.collect();
            inner.extend(items);
            let inner = Shape::of(&inner, defs);
            if !inner.secrets.is_empty() || !inner.tables.is_empty() {
                shape.tables.insert(name.clone(), inner);
            }
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_where_they_may_stand() {
        let names = |shape: &'static Shape| {
            let names: Vec<&str> = shape.secrets.iter().map(|secret| secret.name.as_str()).collect();
            names
        };
        let file = Shape::of_the_file();
        assert!(names(file.table("server")).contains(&"admin_token"));
        assert!(names(file.table("meta")).contains(&"app_secret"));
        assert!(names(file.table("storage")).contains(&"url"));
        let tenants = file.table("tenants");
        assert!(names(tenants).contains(&"access_token"));
        assert!(names(tenants.table("events")).contains(&"secret"));
        assert!(names(tenants.table("senders")).contains(&"access_token"));
        assert!(names(tenants.table("plugin_options")).is_empty());
    }
}
