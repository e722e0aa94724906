//! Bytes as hexadecimal text, by which digests are named everywhere. No network.

/// Two lower-case digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let halves = [byte >> 4, byte & 0xf].map(u32::from);
        text.extend(halves.into_iter().filter_map(|half| char::from_digit(half, 16)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_two_lower_case_digits() {
        assert_eq!(hex(&[]), "");
        assert_eq!(hex(&[0x00, 0x09, 0x0a, 0x7f, 0xa0, 0xff]), "00090a7fa0ff");
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let text = hex(&all);
        let read = (0..256).map(|place| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).unwrap());
        assert_eq!(read.collect::<Vec<_>>(), all);
    }
}
