//! Selection of the proposers: seeds, the chain's entropy, and positions in the active list.

use cosmwasm_std::BlockInfo;

use crate::bytes::sha256;
use crate::types::ALL_BPS;

const ENTROPY: &[u8] = b"CollectiveLearning entropy";

/// Returns the entropy of a block. The block's builder, or any account that chooses when to close a
/// round, can try again for another value: good enough to spread work, not for a lottery.
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

/// Returns the number below `places` that is drawn for a slot of a round with this seed.
pub(crate) fn draw(seed: &[u8; 32], slot: u8, places: u32) -> u32 {
    remainder(&sha256(&[seed, &[slot]]), places)
}

/// Returns the remainder of a big-endian number.
fn remainder(number: &[u8; 32], divisor: u32) -> u32 {
    let divisor = u64::from(divisor);
    let rest = number
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % divisor);
    rest as u32
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
    fn hashes_are_big_endian_numbers() {
        let mut number = [0; 32];
        number[31] = 7;
        assert_eq!(remainder(&number, 5), 2);
        number[30] = 1; // 263
        assert_eq!(remainder(&number, 10_000), 263);
        assert_eq!(remainder(&[0xff; 32], 2), 1);
    }

    #[test]
    fn each_slot_has_its_own_draw() {
        let draws = (0..16).map(|slot| draw(&[3; 32], slot, u32::MAX));
        let mut draws = draws.collect::<Vec<_>>();
        assert_eq!(draws[1], remainder(&sha256(&[&[3; 32], &[1]]), u32::MAX));
        draws.sort_unstable();
        draws.dedup();
        assert_eq!(draws.len(), 16);
    }

    #[test]
    fn entropy_differs_between_blocks_and_transactions() {
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
        fn a_draw_is_below_its_bound(seed: [u8; 32], slot: u8, places in 1u32..=10_000) {
            prop_assert!(draw(&seed, slot, places) < places);
            let low = u128::from_be_bytes(seed[16..].try_into().unwrap());
            let mut small = [0; 32];
            small[16..].copy_from_slice(&low.to_be_bytes());
            prop_assert_eq!(u128::from(remainder(&small, places)), low % u128::from(places));
        }
    }
}
