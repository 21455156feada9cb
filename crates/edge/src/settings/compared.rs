//! The settings of a tenant, to be compared with those that another gateway has.

use serde_json::Value;

use super::tenant::TenantConfig;

impl TenantConfig {
    /// The settings by name, such as `tenants.acme.opt_out`, in a form that is the same if they are. It has **secrets in clear**.
    ///
    /// # Errors
    /// If they can't be serialized as JSON, which does not happen in practice.
    pub fn compared(&self) -> Result<Vec<(String, String)>, serde_json::Error> {
        let Value::Object(settings) = serde_json::to_value(self.to_typed())? else { return Ok(Vec::new()) };
        let named = settings.into_iter().map(|(name, mut value)| {
            if let (Value::Array(values), "tokens" | "senders") = (&mut value, name.as_str()) {
                // In any order.
                values.sort_by_cached_key(Value::to_string);
            }
            (format!("tenants.{}.{name}", self.id), value.to_string())
        });
        Ok(named.collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::FieldPath;

    fn config(settings: Value) -> TenantConfig {
        let typed = serde_json::from_value(settings).unwrap();
        TenantConfig::check(&typed, &FieldPath::default(), &mut Vec::new()).unwrap()
    }

    #[test]
    fn what_is_written_differently_and_means_the_same_does_not_differ() {
        let one = config(json!({
            "id": "acme", "tokens": ["one-secret", "other-secret"], "plugin_options": { "a": 1, "b": 2 },
            "senders": [{ "id": "support" }, { "id": "sales" }],
        }));
        let other = config(json!({
            "id": "acme", "tokens": ["other-secret", "one-secret"], "plugin_options": { "b": 2, "a": 1 },
            "senders": [{ "id": "sales", "active": true }, { "id": "support" }], "plugin": "exact",
        }));
        assert_eq!(one.compared().unwrap(), other.compared().unwrap());
    }

    #[test]
    fn each_setting_that_differs_is_named() {
        let one = config(json!({ "id": "acme", "opt_out": { "stop": ["BASTA"] } })).compared().unwrap();
        let other = config(json!({ "id": "acme", "plugin": "prefix" })).compared().unwrap();
        let differing: Vec<&str> =
            one.iter().filter(|setting| !other.contains(setting)).map(|(name, _)| name.as_str()).collect();
        assert_eq!(differing, ["tenants.acme.opt_out", "tenants.acme.plugin"]);
    }
}
