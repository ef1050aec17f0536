//! Entry points: check arguments, route calls, add events.

use cosmwasm_std::{
    entry_point, to_json_binary, Api, Binary, Deps, DepsMut, Empty, Env, Event, MessageInfo,
    Response,
};

use crate::error::ContractError;
use crate::msg::{ExecuteMsg, InstantiateMsg, QueryMsg, SignedBallot};
use crate::signing::Vote;
use crate::transaction::{domain, Transaction};
use crate::validation::{account, params, reference, word};
use crate::voting::{Reveal, Signed};
use crate::{experiments, learners, proposals, queries, rounds, voting};

/// Stores nothing: there is no owner.
#[entry_point]
pub fn instantiate(
    _deps: DepsMut<Empty>,
    _env: Env,
    info: MessageInfo,
    _msg: InstantiateMsg,
) -> Result<Response, ContractError> {
    refuse_funds(&info)?;
    Ok(Response::new())
}

/// Executes a call of the protocol.
#[entry_point]
pub fn execute(
    deps: DepsMut<Empty>,
    env: Env,
    info: MessageInfo,
    msg: ExecuteMsg,
) -> Result<Response, ContractError> {
    refuse_funds(&info)?;
    let tx = Transaction::new(&env, info.sender);
    let happened = route(deps, &tx, msg)?;
    Ok(Response::new().add_events(happened))
}

fn route(
    deps: DepsMut<Empty>,
    tx: &Transaction,
    msg: ExecuteMsg,
) -> Result<Vec<Event>, ContractError> {
    use ExecuteMsg as M;
    let DepsMut { storage, api, .. } = deps;
    match msg {
        M::Create { params: given } => experiments::create(storage, api, tx, params(given)?),
        M::Admit {
            experiment,
            accounts,
        } => {
            let accounts = accounts.iter().map(|text| account(api, text, "accounts"));
            let accounts = accounts.collect::<Result<Vec<_>, _>>()?;
            experiments::admit(storage, tx, experiment.u64(), &accounts)
        }
        M::Join {
            experiment,
            hash,
            encryption_key,
        } => {
            let hash = word(&hash, "hash")?;
            let key = word(&encryption_key, "encryption_key")?;
            learners::join(storage, tx, experiment.u64(), &hash, &key)
        }
        M::SetEncryptionKey {
            experiment,
            encryption_key,
        } => {
            let key = word(&encryption_key, "encryption_key")?;
            learners::set_encryption_key(storage, tx, experiment.u64(), &key)
        }
        M::Leave { experiment } => learners::leave(storage, tx, experiment.u64()),
        M::Remove {
            experiment,
            learner,
        } => {
            let learner = account(api, &learner, "account")?;
            learners::remove(storage, tx, experiment.u64(), &learner)
        }
        M::Start { experiment } => experiments::start(storage, tx, experiment.u64()),
        M::Cancel { experiment } => experiments::cancel(storage, tx, experiment.u64()),
        M::Advance { experiment } => rounds::advance(storage, tx, experiment.u64()),
        M::Propose {
            experiment,
            round,
            content,
            vote_score,
            test_score,
        } => {
            let content = reference(content, "content")?;
            let scores = (vote_score.u64(), test_score.u64());
            proposals::propose(storage, tx, (experiment.u64(), round), content, scores)
        }
        M::Decline { experiment, round } => {
            proposals::decline(storage, tx, (experiment.u64(), round))
        }
        M::Vote {
            experiment,
            round,
            proposals,
            approvals,
            scores,
        } => {
            let vote = Vote {
                experiment: experiment.u64(),
                round,
                proposals: word(&proposals, "proposals")?,
                approvals,
                scores,
            };
            voting::vote(storage, tx, &vote)
        }
        M::Commit {
            experiment,
            round,
            proposals,
            commitment,
        } => {
            let proposals = word(&proposals, "proposals")?;
            let commitment = word(&commitment, "commitment")?;
            let key = (experiment.u64(), round);
            voting::commit(storage, tx, key, &proposals, &commitment)
        }
        M::Reveal {
            experiment,
            round,
            approvals,
            scores,
            salt,
        } => {
            let revealed = Reveal {
                approvals,
                scores,
                salt: word(&salt, "salt")?,
            };
            voting::reveal(storage, api, tx, (experiment.u64(), round), revealed)
        }
        M::VoteSigned {
            experiment,
            round,
            proposals,
            ballots,
        } => {
            let proposals = word(&proposals, "proposals")?;
            let key = (experiment.u64(), round);
            let ballots = ballots
                .into_iter()
                .map(|given| signed(api, key, &proposals, given))
                .collect::<Result<Vec<_>, _>>()?;
            voting::vote_signed(storage, api, tx, key, &proposals, &ballots)
        }
        M::Announce {
            experiment,
            topic,
            content,
        } => {
            let content = reference(content, "content")?;
            learners::announce(storage, tx, experiment.u64(), &topic, &content)
        }
    }
}

/// Answers a query; no list has more than 100 rows.
#[entry_point]
pub fn query(deps: Deps<Empty>, env: Env, msg: QueryMsg) -> Result<Binary, ContractError> {
    use QueryMsg as M;
    let Deps { storage, api, .. } = deps;
    let answer = match msg {
        M::Experiment { experiment } => {
            to_json_binary(&queries::query_experiment(storage, experiment.u64())?)
        }
        M::Experiments { start, limit } => {
            to_json_binary(&queries::query_experiments(storage, (start, limit))?)
        }
        M::Learner {
            experiment,
            account: text,
        } => {
            let account = account(api, &text, "account")?;
            to_json_binary(&queries::query_learner(
                storage,
                experiment.u64(),
                &account,
            )?)
        }
        M::Learners {
            experiment,
            start,
            limit,
        } => to_json_binary(&queries::query_learners(
            storage,
            experiment.u64(),
            (start, limit),
        )?),
        M::Round { experiment, round } => {
            to_json_binary(&queries::query_round(storage, experiment.u64(), round)?)
        }
        M::Rounds {
            experiment,
            start,
            limit,
        } => to_json_binary(&queries::query_rounds(
            storage,
            experiment.u64(),
            (start, limit),
        )?),
        M::Ballot {
            experiment,
            round,
            account: text,
        } => {
            let account = account(api, &text, "account")?;
            to_json_binary(&queries::query_ballot(
                storage,
                experiment.u64(),
                round,
                &account,
            )?)
        }
        M::Ballots {
            experiment,
            round,
            start,
            limit,
        } => {
            let page = (start, limit);
            to_json_binary(&queries::query_ballots(
                storage,
                experiment.u64(),
                round,
                page,
            )?)
        }
        M::CurrentWeights { experiment } => {
            to_json_binary(&queries::query_current_weights(storage, experiment.u64())?)
        }
        M::Duty {
            experiment,
            account: text,
        } => {
            let account = account(api, &text, "account")?;
            let now = env.block.time.seconds();
            to_json_binary(&queries::query_duty(
                storage,
                experiment.u64(),
                &account,
                now,
            )?)
        }
        M::Agenda {
            experiment,
            account: text,
        } => {
            let account = account(api, &text, "account")?;
            let now = env.block.time.seconds();
            to_json_binary(&queries::query_agenda(
                storage,
                experiment.u64(),
                &account,
                now,
            )?)
        }
        M::Domain {} => to_json_binary(&queries::query_domain(domain(&env))),
    };
    Ok(answer?)
}

/// Refuses funds: no call costs any, and nobody could withdraw them.
fn refuse_funds(info: &MessageInfo) -> Result<(), ContractError> {
    if info.funds.is_empty() {
        return Ok(());
    }
    Err(ContractError::InvalidParameter("funds"))
}

/// Checks a signed ballot; at this point only its learner has to be an address.
fn signed(
    api: &dyn Api,
    (experiment, round): (u64, u32),
    proposals: &[u8; 32],
    given: SignedBallot,
) -> Result<Signed, ContractError> {
    Ok(Signed {
        learner: account(api, &given.learner, "ballots")?,
        vote: Vote {
            experiment,
            round,
            proposals: *proposals,
            approvals: given.approvals,
            scores: given.scores,
        },
        public_key: given.public_key,
        signature: given.signature,
    })
}
