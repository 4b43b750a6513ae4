//! Durations and sizes as text, both ways.

use std::time::Duration;

const TIME: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZE: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads `"30s"`, `"1500ms"`, `"7d"`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    amount(text, &TIME).map(Duration::from_millis)
}

/// Reads `"64KiB"`, `"1MiB"`, `"512B"`.
pub(super) fn size(text: &str) -> Option<usize> {
    amount(text, &SIZE)?.try_into().ok()
}

/// Writes a duration in the largest unit that leaves a whole number; sixty seconds are `60s`, not `1m`.
pub(super) fn show_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let units = TIME.iter().position(|(_, factor)| milliseconds >= 2 * factor || *factor <= 1000);
    if milliseconds == 0 { "0s".to_owned() } else { show(milliseconds, &TIME[units.unwrap_or(0)..]) }
}

/// Writes a size in the largest unit that leaves a whole number.
pub(super) fn show_size(bytes: usize) -> String {
    show(bytes as u64, &SIZE)
}

fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    let (unit, factor) = fitting.unwrap_or(&units[units.len() - 1]);
    format!("{}{unit}", amount / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_written() {
        for (text, milliseconds) in [
            ("1500ms", 1500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("3h", 10_800_000),
            ("7d", 604_800_000),
            ("60s", 60_000),
            ("24h", 86_400_000),
            ("1s", 1000),
            ("1ms", 1),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(milliseconds)), text);
        }
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("3MiB", 3 << 20), ("1025B", 1025)] {
            assert_eq!(size(text), Some(bytes), "{text}");
            assert_eq!(show_size(bytes), text);
        }
    }

    #[test]
    fn nothing_else_is_a_duration_or_a_size() {
        for text in
            ["", "30", "s", "-1s", "1.5s", "30 s", "30S", "99999999999999999999s", "213503982335d", "1w"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "64", "64KB", "64kib", "-1B", "64 KiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
