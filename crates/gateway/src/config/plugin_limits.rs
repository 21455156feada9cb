//! `[plugins.limits]`: the limits with which plugins are loaded.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_engine::plugin_store::PluginLimits;
use portcullis_host::{Bound, Limits};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// A value of the table: a bound for all plugins, or a table of bounds for the plugin of this name.
#[derive(Clone, Debug)]
pub(crate) enum Typed {
    Bound(u64),
    Plugin(BTreeMap<String, u64>),
}

const VALUES: RangeInclusive<u64> = 1..=1 << 40;
/// Processor time, in seconds.
const LONGEST: u64 = 3600;

/// The settings of the table, and of the table of a plugin.
pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut bounds = serde_json::Map::new();
    for bound in Bound::ALL {
        let schema = serde_json::json!({
            "type": "integer", "minimum": VALUES.start(), "maximum": most(bound), "description": bound.what,
            "default": bound.of(&Limits::default()),
        });
        bounds.insert(bound.name.to_owned(), schema);
    }
    let of_a_plugin = generator.subschema_for::<Typed>();
    json_schema!({ "type": "object", "properties": bounds, "additionalProperties": of_a_plugin, "default": {} })
}

impl JsonSchema for Typed {
    fn schema_name() -> Cow<'static, str> {
        "LimitsOfAPlugin".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The limits of the plugin of this name. What it leaves out is as for all.",
            "type": "object",
            "additionalProperties": { "type": "integer", "minimum": VALUES.start(), "maximum": VALUES.end() },
        })
    }
}

/// The largest value of a bound.
fn most(bound: &Bound) -> u64 {
    if bound.name == "compile_seconds" { LONGEST } else { *VALUES.end() }
}

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Typed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or a table of them for the plugin of this name")
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Typed, E> {
                Ok(Typed::Bound(value))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Typed, E> {
                // What is below zero is out of range like zero.
                Ok(Typed::Bound(u64::try_from(value).unwrap_or(0)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Typed, A::Error> {
                let mut bounds = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    bounds.insert(name, value);
                }
                Ok(Typed::Plugin(bounds))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Validates the table. What a plugin's own table leaves out is as for all.
pub(super) fn check(
    typed: &BTreeMap<String, Typed>,
    place: &FieldPath,
    problems: &mut Vec<Problem>,
) -> PluginLimits {
    let mut all = Limits::default();
    for (name, value) in typed {
        if let Typed::Bound(value) = value {
            set(&mut all, name, *value, place, problems);
        }
    }
    let mut limits = PluginLimits::new(all.clone());
    for (plugin, value) in typed {
        if let Typed::Plugin(bounds) = value {
            let mut own = all.clone();
            for (name, &value) in bounds {
                set(&mut own, name, value, place, problems);
            }
            limits = limits.admitting(plugin, own);
        }
    }
    limits
}

fn set(limits: &mut Limits, name: &str, value: u64, place: &FieldPath, problems: &mut Vec<Problem>) {
    let bound = match Bound::named(name) {
        Ok(bound) => bound,
        Err(unknown) => return problems.push(Problem::new(place.clone(), unknown.to_string())),
    };
    let most = most(bound);
    if !(*VALUES.start()..=most).contains(&value) {
        let default = bound.of(&Limits::default());
        let what = format!("must be from 1 to {most}; leave it out for {default}");
        return problems.push(Problem::new(place.key(bound.name), what));
    }
    bound.set(limits, value);
}
