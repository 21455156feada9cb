//! JSON merge patches (RFC 7396).

use serde_json::Value;

use crate::Settings;

/// Changes settings as a merge patch says: a setting of the patch replaces the one of its name, `null` removes that, tables are merged, and
/// lists are replaced as a whole. What the patch does not name stays.
///
/// Recurses as deep as the patch, which the parser of JSON has bounded.
pub fn merge(settings: &mut Settings, patch: Settings) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                settings.remove(&name);
            }
            Value::Object(change) => {
                let setting = settings.entry(name).or_insert(Value::Null);
                if !setting.is_object() {
                    *setting = Value::Object(Settings::new());
                }
                if let Value::Object(setting) = setting {
                    merge(setting, change);
                }
            }
            change => {
                settings.insert(name, change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Settings {
        match value {
            Value::Object(object) => object,
            _ => panic!("an object"),
        }
    }

    fn merged(settings: &Settings, patch: &Settings) -> Settings {
        let mut settings = settings.clone();
        merge(&mut settings, patch.clone());
        settings
    }

    /// RFC 7396, appendix A, where both are objects.
    #[test]
    fn the_examples_of_the_standard_hold() {
        for (settings, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(merged(&object(settings), &object(patch.clone())), object(result), "{patch}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_u8).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    fn objects() -> impl Strategy<Value = Settings> {
        prop::collection::btree_map("[a-d]", values(), 0..4).prop_map(|object| object.into_iter().collect())
    }

    /// Whether a value, outside of lists, has a `null`.
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Object(object) => object.values().any(has_null),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn an_empty_patch_changes_nothing(settings in objects()) {
            prop_assert_eq!(merged(&settings, &Settings::new()), settings);
        }

        #[test]
        fn a_patch_made_twice_is_made_once(settings in objects(), patch in objects()) {
            let once = merged(&settings, &patch);
            prop_assert_eq!(merged(&once, &patch), once);
        }

        #[test]
        fn what_a_patch_does_not_name_stays_and_what_it_names_is_as_it_says(settings in objects(), patch in objects()) {
            let result = merged(&settings, &patch);
            for (name, setting) in &settings {
                if !patch.contains_key(name) {
                    prop_assert_eq!(result.get(name), Some(setting));
                }
            }
            for (name, change) in &patch {
                match change {
                    Value::Null => prop_assert!(!result.contains_key(name)),
                    Value::Object(_) => prop_assert!(result[name].is_object()),
                    change => prop_assert_eq!(&result[name], change),
                }
            }
        }

        #[test]
        fn a_patch_adds_no_null(patch in objects()) {
            prop_assert!(!merged(&Settings::new(), &patch).values().any(has_null));
        }

        #[test]
        fn settings_without_null_patch_nothing_into_themselves(settings in objects()) {
            let settings = merged(&Settings::new(), &settings);
            prop_assert_eq!(merged(&Settings::new(), &settings), settings);
        }

        #[test]
        fn two_patches_that_name_different_settings_can_be_made_in_any_order(
            settings in objects(), one in objects(), other in objects(),
        ) {
            let other: Settings = other.into_iter().filter(|(name, _)| !one.contains_key(name)).collect();
            let (first, then) = (merged(&settings, &one), merged(&settings, &other));
            prop_assert_eq!(merged(&first, &other), merged(&then, &one));
        }
    }
}
