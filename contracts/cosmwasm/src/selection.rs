//! Selection of the proposer: seeds, the chain's entropy, and the position in the active list.

use cosmwasm_std::BlockInfo;
use sha2::{Digest, Sha256};

use crate::types::ALL_BPS;

const ENTROPY: &[u8] = b"CollectiveLearning entropy";

/// Returns the sha256 of the parts, concatenated.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// Returns the entropy of a block. The block's builder, or anyone who chooses when to close a round,
/// can try again for another value: good enough to spread work, not for a lottery.
pub(crate) fn entropy(block: &BlockInfo, transaction: Option<u32>) -> [u8; 32] {
    sha256(&[
        ENTROPY,
        &block.height.to_be_bytes(),
        &block.time.nanos().to_be_bytes(),
        &transaction.unwrap_or(u32::MAX).to_be_bytes(),
    ])
}

/// Returns the seed of round 0.
pub(crate) fn first_seed(separator: &[u8; 32], experiment: u64, entropy: &[u8; 32]) -> [u8; 32] {
    sha256(&[separator, &experiment.to_be_bytes(), entropy])
}

/// Returns the seed of the next round. `salts` is the XOR of the revealed salts.
pub(crate) fn next_seed(seed: &[u8; 32], entropy: &[u8; 32], salts: &[u8; 32]) -> [u8; 32] {
    sha256(&[seed, entropy, salts])
}

/// Returns the position that a seed selects: the seed as a big-endian number, modulo the length.
pub(crate) fn random_position(seed: &[u8; 32], places: u32) -> u32 {
    let places = u64::from(places);
    let rest = seed
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % places);
    rest as u32
}

/// Returns the position after the last one; 0 in the first round.
pub(crate) fn next_position(last: Option<u32>, places: u32) -> u32 {
    last.map_or(0, |last| (last + 1) % places)
}

/// `max(1, ceil(eligible * approval_bps / 10,000))`.
pub(crate) fn needed_approvals(eligible: u32, approval_bps: u32) -> u32 {
    (eligible * approval_bps).div_ceil(ALL_BPS).max(1)
}

/// Adds a salt to the XOR of revealed salts.
pub(crate) fn mix(salts: &mut [u8; 32], salt: &[u8; 32]) {
    salts
        .iter_mut()
        .zip(salt)
        .for_each(|(mixed, byte)| *mixed ^= byte);
}

#[cfg(test)]
mod tests {
    use cosmwasm_std::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn needed_is_the_share_rounded_up_and_at_least_one() {
        let cases = [
            (4, 5_000, 2),
            (4, 5_001, 3),
            (3, 5_000, 2),
            (1, 1, 1),
            (9_999, 10_000, 9_999),
            (9_999, 1, 1),
            (3, 3_333, 1),
            (3, 3_334, 2),
        ];
        for (eligible, bps, needed) in cases {
            assert_eq!(
                needed_approvals(eligible, bps),
                needed,
                "{eligible} at {bps}"
            );
        }
    }

    #[test]
    fn positions_go_round() {
        assert_eq!(next_position(None, 5), 0);
        assert_eq!(next_position(Some(3), 5), 4);
        assert_eq!(next_position(Some(4), 5), 0);
        assert_eq!(next_position(Some(9), 2), 0);
    }

    #[test]
    fn a_seed_is_a_big_endian_number() {
        let mut seed = [0; 32];
        seed[31] = 7;
        assert_eq!(random_position(&seed, 5), 2);
        seed[30] = 1; // 263
        assert_eq!(random_position(&seed, 10_000), 263);
        assert_eq!(random_position(&[0xff; 32], 2), 1);
    }

    #[test]
    fn entropy_tells_blocks_and_transactions_apart() {
        let block = BlockInfo {
            height: 7,
            time: Timestamp::from_nanos(9),
            chain_id: "any".to_string(),
        };
        let mut next = block.clone();
        next.height = 8;
        let mut later = block.clone();
        later.time = Timestamp::from_nanos(10);
        let all = [
            entropy(&block, Some(0)),
            entropy(&block, Some(1)),
            entropy(&block, None),
            entropy(&next, Some(0)),
            entropy(&later, Some(0)),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one));
        }
        assert_eq!(entropy(&block, None), entropy(&block, Some(u32::MAX)));
    }

    #[test]
    fn mixing_a_salt_twice_takes_it_out_again() {
        let mut salts = [3; 32];
        mix(&mut salts, &[5; 32]);
        assert_eq!(salts, [6; 32]);
        mix(&mut salts, &[5; 32]);
        assert_eq!(salts, [3; 32]);
    }

    proptest! {
        #[test]
        fn needed_never_asks_for_more_than_there_are(eligible in 1u32..10_000, bps in 1u32..=10_000) {
            let needed = needed_approvals(eligible, bps);
            prop_assert!((1..=eligible).contains(&needed));
            prop_assert!(needed * 10_000 >= eligible * bps);
            prop_assert!(needed == 1 || (needed - 1) * 10_000 < eligible * bps);
        }

        #[test]
        fn a_position_is_in_the_list(seed: [u8; 32], places in 1u32..=10_000) {
            let position = random_position(&seed, places);
            prop_assert!(position < places);
            let low = u128::from_be_bytes(seed[16..].try_into().unwrap());
            let mut small = [0; 32];
            small[16..].copy_from_slice(&low.to_be_bytes());
            prop_assert_eq!(u128::from(random_position(&small, places)), low % u128::from(places));
        }
    }
}
