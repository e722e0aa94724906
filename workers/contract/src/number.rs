//! Exact decimal numbers from their text, without floats. No network.

/// Most digits on either side of the decimal point: beyond it a few bytes of text could unfold into megabytes.
const MAX_DIGITS: i64 = 400;

/// A number exactly as its text says: `digits` times ten to the power of `exponent`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ExactNumber {
    negative: bool,
    /// Without leading or trailing zeros; empty for zero.
    digits: String,
    exponent: i64,
}

impl ExactNumber {
    /// Reads `-12.50e3` and the like; `None` for other text and for exponents that are absurd.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some((whole, fraction)) => (whole, fraction),
            None => (mantissa, ""),
        };
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut digits = format!("{whole}{fraction}");
        let mut exponent = exponent - i64::try_from(fraction.len()).ok()?;
        let significant = digits.trim_end_matches('0').len();
        exponent += i64::try_from(digits.len() - significant).ok()?;
        digits.truncate(significant);
        let leading = digits.len() - digits.trim_start_matches('0').len();
        digits.drain(..leading);
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        let number = Self {
            negative,
            digits,
            exponent,
        };
        (number.exponent >= -MAX_DIGITS && number.point() <= MAX_DIGITS).then_some(number)
    }

    /// The shortest plain decimal text: no exponent, no needless zero, no minus before zero.
    pub(crate) fn plain(&self) -> String {
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        let sign = if self.negative { "-" } else { "" };
        let point = self.point();
        let digits = &self.digits;
        if self.exponent >= 0 {
            return format!("{sign}{digits}{}", zeros(self.exponent));
        }
        match usize::try_from(point) {
            Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
            _ => format!("{sign}0.{}{digits}", zeros(-point)),
        }
    }

    /// As an integer; `None` if there is a fraction or it does not fit.
    pub(crate) fn to_i64(&self) -> Option<i64> {
        if self.exponent < 0 || self.point() > 19 {
            return None;
        }
        self.plain().parse().ok()
    }

    /// As an integer of units of ten to the power of minus `scale`; `None` if that would round or needs more than
    /// `precision` digits.
    pub(crate) fn to_decimal(&self, precision: u8, scale: u8) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let shift = self.exponent + i64::from(scale);
        if shift < 0 || self.point() + i64::from(scale) > i64::from(precision) {
            return None;
        }
        let power = 10_i128.checked_pow(u32::try_from(shift).ok()?)?;
        let units = self.digits.parse::<i128>().ok()?.checked_mul(power)?;
        Some(if self.negative { -units } else { units })
    }

    /// Digits before the decimal point, negative if the fraction begins with zeros.
    fn point(&self) -> i64 {
        i64::try_from(self.digits.len()).map_or(i64::MAX, |length| length.saturating_add(self.exponent))
    }
}

/// Whether a JSON number's text is already its shortest plain form, which most are.
pub(crate) fn is_plain_integer(text: &str) -> bool {
    text != "-0" && !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // An i32 leaves room for the sums above; what does not fit is far beyond MAX_DIGITS anyway.
    text.parse::<i32>().ok().map(i64::from)
}

fn zeros(count: i64) -> String {
    "0".repeat(usize::try_from(count).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", "0")]
    #[case("-0", "0")]
    #[case("0.000", "0")]
    #[case("1.0", "1")]
    #[case("1e3", "1000")]
    #[case("100", "100")]
    #[case("1.50", "1.5")]
    #[case("-12.50E+1", "-125")]
    #[case("12e-3", "0.012")]
    #[case("0.10", "0.1")]
    #[case("9007199254740993", "9007199254740993")]
    #[case("0e999999999", "0")]
    fn plain_text_is_the_shortest(#[case] text: &str, #[case] plain: &str) {
        assert_eq!(ExactNumber::parse(text).expect("a number").plain(), plain);
    }

    #[rstest]
    #[case("")]
    #[case("-")]
    #[case(".5")]
    #[case("5.")]
    #[case("1e")]
    #[case("1e+")]
    #[case("+1")]
    #[case(" 1")]
    #[case("1_000")]
    #[case("NaN")]
    #[case("1e99999999999999999999")]
    #[case("1e401")]
    #[case("1e-401")]
    fn other_text_is_no_number(#[case] text: &str) {
        assert_eq!(ExactNumber::parse(text), None);
    }

    #[rstest]
    #[case("2.55", 18, 2, Some(255))]
    #[case("2.550", 18, 2, Some(255))]
    #[case("2.555", 18, 2, None)]
    #[case("-0.01", 2, 2, Some(-1))]
    #[case("99.99", 4, 2, Some(9999))]
    #[case("100", 4, 2, None)]
    #[case("1e2", 5, 2, Some(10_000))]
    #[case(
        "99999999999999999999999999999999999999",
        38,
        0,
        Some(99_999_999_999_999_999_999_999_999_999_999_999_999)
    )]
    #[case("0.00000000000000000000000000000000000001", 38, 38, Some(1))]
    fn decimals_fit_or_are_refused_never_rounded(
        #[case] text: &str,
        #[case] precision: u8,
        #[case] scale: u8,
        #[case] units: Option<i128>,
    ) {
        assert_eq!(
            ExactNumber::parse(text).expect("a number").to_decimal(precision, scale),
            units
        );
    }

    #[rstest]
    #[case("9223372036854775807", Some(i64::MAX))]
    #[case("-9223372036854775808", Some(i64::MIN))]
    #[case("9223372036854775808", None)]
    #[case("1.0", Some(1))]
    #[case("1.5", None)]
    fn integers_fit_or_are_refused(#[case] text: &str, #[case] value: Option<i64>) {
        assert_eq!(ExactNumber::parse(text).expect("a number").to_i64(), value);
    }

    proptest! {
        #[test]
        fn a_decimal_survives_its_text(units in -(10_i128.pow(18))..10_i128.pow(18), scale in 0_u8..=18) {
            let magnitude = units.unsigned_abs();
            let power = 10_u128.pow(u32::from(scale));
            let sign = if units < 0 { "-" } else { "" };
            let text = if scale == 0 {
                format!("{sign}{magnitude}")
            } else {
                format!("{sign}{}.{:0width$}", magnitude / power, magnitude % power, width = usize::from(scale))
            };
            let number = ExactNumber::parse(&text).expect("a number");
            prop_assert_eq!(number.to_decimal(38, scale), Some(units));
            // The plain text is a fixed point.
            prop_assert_eq!(ExactNumber::parse(&number.plain()), Some(number));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,40}|-?[0-9.eE+-]{0,40}") {
            if let Some(number) = ExactNumber::parse(&text) {
                prop_assert_eq!(ExactNumber::parse(&number.plain()), Some(number));
            }
        }
    }
}
