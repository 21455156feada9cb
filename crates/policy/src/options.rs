//! The options as a tenant writes them.

use portcullis_plugin_sdk::rules::{Country, Purpose, Purposes, Scope, TimeOfDay};
use serde_json::Value;

use crate::countries::{self, Countries};
use crate::json::{At, Object, Wrong};
use crate::metered::{self, Metered, Place};
use crate::prefixes::{MAX_DIGITS, Prefixes};

/// The most countries of a list: all that there can be.
const MOST_COUNTRIES: usize = 676;
/// The most prefixes of a list.
const MOST_PREFIXES: usize = 2048;
/// The most ceilings, caps and quiet hours, each.
const MOST_RULES: usize = 64;

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// The options, parsed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) held: Purposes,
    pub(crate) countries: Option<CountryRule>,
    /// Whether numbers that begin with these digits are blocked.
    pub(crate) prefixes: Prefixes<bool>,
    /// Whether all others are.
    pub(crate) other_prefixes_are_blocked: bool,
    pub(crate) ceilings: Vec<Ceiling>,
    pub(crate) caps: Vec<Cap>,
    pub(crate) quiet: Vec<Quiet>,
    pub(crate) meters: Metered,
}

/// Which countries get messages.
#[derive(Clone, Debug)]
pub(crate) struct CountryRule {
    pub(crate) countries: Countries,
    /// Whether these are the ones that do, or the ones that don't.
    pub(crate) is_allowed: bool,
    /// Whether people whose country is not known do.
    pub(crate) unknown_is_allowed: bool,
}

/// Whom a rule is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    pub(crate) purposes: Purposes,
    /// `None`: all.
    pub(crate) only: Option<Countries>,
    pub(crate) except: Countries,
}

/// A count that must not be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) place: Place,
    pub(crate) most: u32,
}

/// How many messages may be sent.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    pub(crate) reach: Reach,
    pub(crate) minute: Option<Limit>,
    pub(crate) hour: Option<Limit>,
}

/// How many messages a person may get.
#[derive(Clone, Debug)]
pub(crate) struct Cap {
    pub(crate) reach: Reach,
    pub(crate) day: Option<Limit>,
    pub(crate) week: Option<Limit>,
}

/// Hours in which a person gets no messages.
#[derive(Clone, Debug)]
pub(crate) struct Quiet {
    pub(crate) reach: Reach,
    pub(crate) from: TimeOfDay,
    pub(crate) to: TimeOfDay,
    /// Whether messages are postponed rather than blocked.
    pub(crate) is_later: bool,
}

const PURPOSES: [(&str, Purpose); 5] = [
    ("unknown", Purpose::Unknown),
    ("authentication", Purpose::Authentication),
    ("utility", Purpose::Utility),
    ("marketing", Purpose::Marketing),
    ("service", Purpose::Service),
];

/// Reads options. Those about prefixes are refused unless numbers are known.
pub(crate) fn parse(json: &str, knows_numbers: bool) -> Result<Options, String> {
    let value: Value = serde_json::from_str(json).map_err(|error| {
        // The place, and not serde's words: they may repeat what is there.
        format!("the options are not JSON: see line {}, column {}", error.line(), error.column())
    })?;
    read(&At::root(&value), knows_numbers).map_err(|wrong| wrong.to_string())
}

fn read(root: &At<'_>, knows_numbers: bool) -> Result<Options, Wrong> {
    let names = ["unknown_purpose_is", "hold", "countries", "prefixes", "ceilings", "caps", "quiet_hours"];
    let object = root.object(&names)?;
    let unknown_is = object.read("unknown_purpose_is", |at| at.word(&PURPOSES))?.unwrap_or(Purpose::Unknown);
    let mut reader = Reader { unknown_is, meters: Metered::default() };
    let mut options = Options {
        held: object.read("hold", |at| reader.purposes(&at))?.unwrap_or_default(),
        countries: object.read("countries", |at| country_rule(&at))?,
        ..Options::default()
    };
    if let Some(at) = object.get("prefixes") {
        if !knows_numbers {
            return Err(at.wrong(
                "needs numbers in clear, which this plugin does not get: use the plugin `policy-numbers` and grant it `number`",
            ));
        }
        (options.prefixes, options.other_prefixes_are_blocked) = prefix_rule(&at)?;
    }
    for at in
        object.read("ceilings", |at| at.list(MOST_RULES, r#"[{"per_minute": 10}]"#))?.unwrap_or_default()
    {
        options.ceilings.push(reader.ceiling(&at)?);
    }
    for at in object.read("caps", |at| at.list(MOST_RULES, r#"[{"per_day": 2}]"#))?.unwrap_or_default() {
        options.caps.push(reader.cap(&at)?);
    }
    let example = r#"[{"from": "21:00", "to": "08:00"}]"#;
    for at in object.read("quiet_hours", |at| at.list(MOST_RULES, example))?.unwrap_or_default() {
        options.quiet.push(reader.quiet(&at)?);
    }
    options.meters = reader.meters;
    Ok(options)
}

/// What is needed for reading rules.
struct Reader {
    /// What messages of unknown purpose are taken for.
    unknown_is: Purpose,
    meters: Metered,
}

impl Reader {
    fn purposes(&self, at: &At<'_>) -> Result<Purposes, Wrong> {
        let mut purposes = Purposes::NONE;
        for item in at.list(PURPOSES.len(), r#"["marketing"]"#)? {
            let purpose = item.word(&PURPOSES)?;
            if purpose == Purpose::Unknown && self.unknown_is != Purpose::Unknown {
                return Err(item.wrong("means nothing, as `unknown_purpose_is` says what such messages are: remove one of the two"));
            }
            if purposes.contains(purpose) {
                return Err(item.wrong("is there twice: remove one"));
            }
            purposes = purposes | [purpose].into_iter().collect();
        }
        Ok(self.with_unknown(purposes))
    }

    /// These purposes, and messages of unknown purpose if they are taken for one of them.
    fn with_unknown(&self, purposes: Purposes) -> Purposes {
        let unknown: Purposes = [Purpose::Unknown].into_iter().collect();
        if purposes.contains(self.unknown_is) { purposes | unknown } else { purposes.without(unknown) }
    }

    fn reach(&self, object: &Object<'_>, default: Purposes) -> Result<Reach, Wrong> {
        let purposes = object.read("purposes", |at| self.purposes(&at))?;
        let only = object.read("countries", |at| countries(&at))?;
        if let (Some(_), Some(except)) = (&only, object.get("except")) {
            return Err(except
                .wrong("is not needed, as `countries` names those that are meant: remove one of the two"));
        }
        Ok(Reach {
            purposes: purposes.unwrap_or_else(|| self.with_unknown(default)),
            only,
            except: object.read("except", |at| countries(&at))?.unwrap_or_default(),
        })
    }

    /// The limits of a rule in two windows, of which one at least must be there.
    fn limits(
        &mut self,
        object: &Object<'_>,
        scope: Scope,
        purposes: Purposes,
        windows: [(&str, u32); 2],
    ) -> Result<[Option<Limit>; 2], Wrong> {
        let mut limits = [None; 2];
        for (limit, (name, window)) in limits.iter_mut().zip(windows) {
            let Some(at) = object.get(name) else { continue };
            let most = at.whole(0, 1_000_000_000)?;
            let place = self.meters.meter(scope, window, purposes).ok_or_else(|| {
                at.wrong(&format!(
                    "would be counter {}, and {} is the most: let rules share their `purposes`, `count_by` and `digits`",
                    metered::MOST + 1,
                    metered::MOST,
                ))
            })?;
            *limit = Some(Limit { place, most });
        }
        if limits.iter().all(Option::is_none) {
            let [(a, _), (b, _)] = windows;
            return Err(object.wrong(&format!("limits nothing: write `{a}`, `{b}` or both")));
        }
        Ok(limits)
    }

    fn ceiling(&mut self, at: &At<'_>) -> Result<Ceiling, Wrong> {
        let names = ["purposes", "countries", "except", "count_by", "digits", "per_minute", "per_hour"];
        let object = at.object(&names)?;
        let reach = self.reach(&object, Purposes::ALL)?;
        #[derive(Clone, Copy)]
        enum By {
            Country,
            Prefix,
            Tenant,
        }
        let words = [("country", By::Country), ("prefix", By::Prefix), ("tenant", By::Tenant)];
        let by = object.read("count_by", |at| at.word(&words))?.unwrap_or(By::Country);
        let digits = object.read("digits", |at| at.whole(1, u32::from(MAX_DIGITS)))?;
        let scope = match (by, digits) {
            (By::Country, None) => Scope::Country,
            (By::Tenant, None) => Scope::Tenant,
            (By::Prefix, Some(digits)) => Scope::Prefix(u8::try_from(digits).unwrap_or(u8::MAX)),
            (By::Prefix, None) => {
                return Err(object.wrong("lacks `digits`: write how many digits numbers must share to be counted together, such as 7"));
            }
            (_, Some(_)) => {
                return Err(object.wrong(
                    r#"has `digits`, which mean nothing here: remove them, or write "count_by": "prefix""#,
                ));
            }
        };
        let windows = [("per_minute", MINUTE), ("per_hour", HOUR)];
        let [minute, hour] = self.limits(&object, scope, reach.purposes, windows)?;
        Ok(Ceiling { reach, minute, hour })
    }

    fn cap(&mut self, at: &At<'_>) -> Result<Cap, Wrong> {
        let object = at.object(&["purposes", "countries", "except", "per_day", "per_week"])?;
        let reach = self.reach(&object, [Purpose::Marketing].into_iter().collect())?;
        let windows = [("per_day", DAY), ("per_week", 7 * DAY)];
        let [day, week] = self.limits(&object, Scope::Subject, reach.purposes, windows)?;
        Ok(Cap { reach, day, week })
    }

    fn quiet(&self, at: &At<'_>) -> Result<Quiet, Wrong> {
        let object = at.object(&["purposes", "countries", "except", "from", "to", "then"])?;
        let all_but_authentication = Purposes::ALL.without([Purpose::Authentication].into_iter().collect());
        let time = |name: &str, example: &str| {
            let at = object.require(name, example)?;
            TimeOfDay::parse(at.text(example)?)
                .ok_or_else(|| at.wrong(&format!("must be a time from 00:00 to 24:00, such as {example}")))
        };
        let (from, to) = (time("from", r#""21:00""#)?, time("to", r#""08:00""#)?);
        if from == to {
            return Err(
                object.wrong("begins and ends at the same time: to hold messages at all hours, use `hold`")
            );
        }
        let words = [("later", true), ("block", false)];
        Ok(Quiet {
            reach: self.reach(&object, all_but_authentication)?,
            from,
            to,
            is_later: object.read("then", |at| at.word(&words))?.unwrap_or(true),
        })
    }
}

fn countries(at: &At<'_>) -> Result<Countries, Wrong> {
    let mut countries = Countries::default();
    for item in at.list(MOST_COUNTRIES, r#"["SE", "US"]"#)? {
        let example = r#""SE""#;
        let country = Country::new(item.text(example)?).ok_or_else(|| {
            item.wrong(&format!(
                "must be the two capital letters of a country by ISO 3166-1, such as {example}"
            ))
        })?;
        if !countries::is_any(country) {
            let what = match country.as_str() {
                "UK" => "is no country by ISO 3166-1: the United Kingdom is GB",
                "EU" => "is no country by ISO 3166-1: write the countries that are meant",
                _ => "is no country by ISO 3166-1: look up its two letters",
            };
            return Err(item.wrong(what));
        }
        if !countries.add(country) {
            return Err(item.wrong("is there twice: remove one"));
        }
    }
    Ok(countries)
}

fn country_rule(at: &At<'_>) -> Result<CountryRule, Wrong> {
    let object = at.object(&["allow", "block", "unknown"])?;
    let (allow, block) = (object.get("allow"), object.get("block"));
    let (list, is_allowed) = match (allow, block) {
        (Some(list), None) => (list, true),
        (None, Some(list)) => (list, false),
        (Some(_), Some(_)) => {
            return Err(object.wrong("has both `allow` and `block`: write the one that is shorter"));
        }
        (None, None) => {
            return Err(
                object.wrong(r#"lacks `allow` or `block`: write a list such as "allow": ["SE", "US"]"#)
            );
        }
    };
    let unknown = object.read("unknown", |at| at.word(&[("allow", true), ("block", false)]))?;
    Ok(CountryRule {
        countries: countries(&list)?,
        is_allowed,
        unknown_is_allowed: unknown.unwrap_or(!is_allowed),
    })
}

fn prefix_rule(at: &At<'_>) -> Result<(Prefixes<bool>, bool), Wrong> {
    let object = at.object(&["block", "allow", "others"])?;
    let mut prefixes = Prefixes::default();
    for (name, is_blocked) in [("block", true), ("allow", false)] {
        let example = r#""46900""#;
        let list = object.read(name, |at| at.list(MOST_PREFIXES, r#"["46900", "371900"]"#))?;
        for item in list.unwrap_or_default() {
            let text = item.text(example)?;
            let digits = text.strip_prefix('+').unwrap_or(text);
            let are_digits = (1..=usize::from(MAX_DIGITS)).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|digit| digit.is_ascii_digit());
            let prefix = if are_digits { digits.parse().ok() } else { None };
            let prefix = prefix.ok_or_else(|| {
                item.wrong(&format!(
                    "must be the first digits of numbers, country code first: 1 to {MAX_DIGITS} digits, such as {example}"
                ))
            })?;
            if !prefixes.add(prefix, is_blocked) {
                return Err(item.wrong("is there twice, in `block` or `allow`: remove one"));
            }
        }
    }
    if prefixes.is_empty() {
        return Err(object.wrong(r#"has no prefixes: write a list such as "block": ["46900"]"#));
    }
    let others = object.read("others", |at| at.word(&[("allow", false), ("block", true)]))?;
    Ok((prefixes, others.unwrap_or(false)))
}
