//! Until when a certificate is valid, read out of its DER. It is our own certificate and nothing hangs on the answer but
//! a warning and a metric, so forty lines stand here instead of a parser of X.509.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which may be left out.
const VERSION: u8 = 0xa0;

/// The end of a certificate's validity (RFC 5280 section 4.1.2.5); nothing where it is no certificate.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let mut rest = certificate;
    let mut certificate = sequence(&mut rest)?;
    let mut fields = sequence(&mut certificate)?;
    if fields.first() == Some(&VERSION) {
        element(&mut fields)?;
    }
    let _serial_number = element(&mut fields)?;
    let _signature = element(&mut fields)?;
    let _issuer = element(&mut fields)?;
    let mut validity = sequence(&mut fields)?;
    let _not_before = element(&mut validity)?;
    let (tag, text) = element(&mut validity)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i16 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let digits = rest.strip_suffix('Z').filter(|digits| digits.len() == 10)?;
    let two = |at: usize| digits.get(at..at + 2)?.parse::<i8>().ok();
    let time = DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    // The last moment of 9999, which says that there is no end, is beyond what can be counted.
    Some(TimeZone::UTC.to_timestamp(time).unwrap_or(Timestamp::MAX))
}

fn sequence<'d>(der: &mut &'d [u8]) -> Option<&'d [u8]> {
    element(der).and_then(|(tag, contents)| (tag == SEQUENCE).then_some(contents))
}

/// The next element's tag and contents.
fn element<'d>(der: &mut &'d [u8]) -> Option<(u8, &'d [u8])> {
    let [tag, length, rest @ ..] = *der else { return None };
    let (length, rest) = match *length {
        short @ ..0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            let bytes = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
            let length = bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
            (length, &rest[count..])
        }
    };
    *der = rest.get(length..)?;
    Some((*tag, &rest[..length]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 7, 9);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_of_validity_is_read_in_both_forms() {
        for (year, end) in [(2031, "2031-07-09T00:00:00Z"), (2049, "2049-07-09T00:00:00Z")] {
            assert_eq!(not_after(&certificate(year)).unwrap().to_string(), end);
        }
        for (year, end) in [(1975, "1975-07-09T00:00:00Z"), (2050, "2050-07-09T00:00:00Z")] {
            assert_eq!(not_after(&certificate(year)).unwrap().to_string(), end);
        }
        assert_eq!(time(GENERALIZED_TIME, "99991231235959Z"), Some(Timestamp::MAX));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(2031);
        for length in 0..whole.len() {
            // Cut anywhere: nothing, and no panic.
            assert_eq!(not_after(&whole[..length]), None);
        }
        for at in 0..80 {
            let mut broken = whole.clone();
            broken[at] ^= 0xff;
            let _ = not_after(&broken);
        }
        assert_eq!(time(UTC_TIME, "3102300000Z"), None);
        assert_eq!(time(UTC_TIME, "310230000000Z"), None);
        assert_eq!(time(UTC_TIME, "31é709000000Z"), None);
    }
}
