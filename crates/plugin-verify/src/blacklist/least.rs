//! The least of what fails.

/// Leaves out runs of parts, long ones first, without which it `fails` as well: half of them, a quarter, and at last each.
///
/// Of a hundred parts of which one matters, about a dozen attempts fail, and these may be the ones that take long.
pub(super) fn least<T: Clone>(mut parts: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut run = parts.len();
    while run > 0 {
        let mut end = parts.len();
        while end > 0 {
            let start = end.saturating_sub(run);
            let fewer = [&parts[..start], &parts[end..]].concat();
            if fails(&fewer) {
                parts = fewer;
            }
            end = start;
        }
        run /= 2;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out_in_few_failing_attempts() {
        let cases: [&[i32]; 6] = [&[], &[0], &[99], &[37], &[37, 38], &[0, 50, 99]];
        for needed in cases {
            let mut failed = 0;
            let left = least((0..100).collect(), |some| {
                let fails = needed.iter().all(|part| some.contains(part));
                failed += usize::from(fails);
                fails
            });
            assert_eq!(left, needed);
            assert!(failed <= 15 * needed.len().max(1), "{failed} for {needed:?}");
        }
    }
}
