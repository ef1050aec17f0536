//! Words of 32 bytes: hashing, hexadecimal text and storage.

use cosmwasm_std::Binary;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Returns the sha256 of the parts, concatenated.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// Returns lower-case hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A stored word: base64, or null while it is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) [u8; 32]);

impl Word {
    /// Returns whether it is not zero.
    pub(crate) fn is_set(&self) -> bool {
        self.0 != [0; 32]
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bytes = self.is_set().then(|| Binary::from(self.0));
        bytes.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let stored = Option::<Binary>::deserialize(from)?;
        let bytes = stored.map_or(Ok([0; 32]), |bytes| bytes.to_array());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use cosmwasm_std::{from_json, to_json_string};

    use super::*;

    #[test]
    fn a_word_is_stored_in_base64_and_zero_as_null() {
        assert_eq!(to_json_string(&Word::default()).unwrap(), "null");
        assert_eq!(from_json::<Word>("null").unwrap(), Word::default());
        let stored = to_json_string(&Word([9; 32])).unwrap();
        assert_eq!(stored.len(), 46);
        assert_eq!(from_json::<Word>(stored).unwrap(), Word([9; 32]));
        assert!(from_json::<Word>(r#""CQ==""#).is_err());
    }

    #[test]
    fn hexadecimal_text_has_two_lower_case_digits_a_byte() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
