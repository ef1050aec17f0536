//! Queries of duties, ballots, learners and rounds.

use collective_learning::msg::{
    AgendaResponse, BallotResponse, BallotsResponse, DomainResponse, ExperimentResponse,
    LearnerResponse, QueryMsg, RoundResponse,
};
use collective_learning::signing::sha256;
use collective_learning::types::{BallotState, Duty};
use collective_learning::ContractError as E;

use crate::suite::worlds::THREE;
use crate::suite::{assert_refused, Suite, NO, WINDOW, YES};

#[test]
fn duties_with_open_ballots() {
    let mut suite = Suite::enrolled(&THREE, |_| ());
    assert_eq!(suite.duties(&["ana", "stranger"]), [Duty::Wait, Duty::Wait]);
    suite.start().unwrap();
    assert_eq!(
        suite.duties(&THREE),
        [Duty::Propose, Duty::Wait, Duty::Wait]
    );
    suite.propose("ana", "weights").unwrap();
    assert_eq!(suite.duties(&THREE), [Duty::Wait, Duty::Vote, Duty::Vote]);
    suite.vote("bob", YES).unwrap();
    assert_eq!(suite.duties(&THREE), [Duty::Wait, Duty::Wait, Duty::Vote]);
    suite.pass_deadline();
    assert_eq!(suite.duties(&THREE), [Duty::Advance; 3]);
    assert_eq!(suite.duty("stranger"), Duty::Wait);
}

#[test]
fn duties_with_secret_ballots() {
    let mut suite = Suite::running(&THREE, |p| p.reveal_window = WINDOW as u32);
    suite.propose("ana", "weights").unwrap();
    assert_eq!(
        suite.duties(&THREE),
        [Duty::Wait, Duty::Commit, Duty::Commit]
    );
    suite.commit("bob", YES).unwrap();
    assert_eq!(suite.duties(&THREE), [Duty::Wait, Duty::Wait, Duty::Commit]);
    suite.lapse_phase();
    assert_eq!(suite.duties(&THREE), [Duty::Wait, Duty::Reveal, Duty::Wait]);
    suite.reveal("bob", YES).unwrap();
    assert_eq!(suite.duties(&THREE), [Duty::Wait; 3]);
    suite.pass_deadline();
    assert_eq!(suite.duties(&THREE), [Duty::Advance; 3]);
}

#[test]
fn late_learner_has_no_duty_in_the_round_it_joined_in() {
    let mut suite = Suite::running(&["ana", "bob"], |p| p.late_join = true);
    suite.join("cy").unwrap();
    suite.propose("ana", "weights").unwrap();
    assert_eq!(suite.duties(&["bob", "cy"]), [Duty::Vote, Duty::Wait]);
}

#[test]
fn duty_is_done_after_leaving_and_after_the_end() {
    let mut suite = Suite::running(&THREE, |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.leave("bob").unwrap();
    assert_eq!(suite.duty("bob"), Duty::Done);
    suite.pass_deadline();
    assert_eq!(suite.duty("bob"), Duty::Done);
    suite.advance().unwrap();
    suite.cancel("creator").unwrap();
    assert_eq!(suite.duties(&["ana", "stranger"]), [Duty::Done, Duty::Done]);
}

#[test]
fn ballots_have_a_row_for_each_learner() {
    let mut suite = Suite::running(&THREE, |p| p.late_join = true);
    suite.join("late").unwrap();
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", YES).unwrap();
    suite.vote("cy", NO).unwrap();
    let experiment = suite.id();
    let rows: BallotsResponse = suite.ask(&QueryMsg::Ballots {
        experiment,
        round: 0,
        start: None,
        limit: None,
    });
    let actual = rows
        .ballots
        .iter()
        .map(|row| (row.eligible, row.state, row.approvals))
        .collect::<Vec<_>>();
    let expected = [
        (false, BallotState::None, 0),
        (true, BallotState::Cast, 1),
        (true, BallotState::Cast, 0),
        (false, BallotState::None, 0),
    ];
    assert_eq!(actual, expected);
    for (row, name) in rows.ballots.iter().zip(["ana", "bob", "cy", "late"]) {
        assert_eq!(*row, suite.ballot(0, name));
        assert_eq!((row.experiment, row.round), (experiment, 0));
    }
}

#[test]
fn queries_of_unknown_things_are_refused() {
    let suite = Suite::enrolled(&["ana"], |_| ());
    let (experiment, unknown) = (suite.id(), 2u64.into());
    let account = suite.account("stranger").into_string();
    let refused = suite.try_ask::<ExperimentResponse>(&QueryMsg::Experiment {
        experiment: unknown,
    });
    assert_refused(refused, &E::UnknownExperiment(2));
    let zero = suite.try_ask::<ExperimentResponse>(&QueryMsg::Experiment {
        experiment: 0u64.into(),
    });
    assert_refused(zero, &E::UnknownExperiment(0));
    let learner = QueryMsg::Learner {
        experiment,
        account: account.clone(),
    };
    let stranger = E::NotALearner(suite.account("stranger"));
    assert_refused(suite.try_ask::<LearnerResponse>(&learner), &stranger);
    let round = QueryMsg::Round {
        experiment,
        round: 0,
    };
    assert_refused(
        suite.try_ask::<RoundResponse>(&round),
        &E::WrongRound(u32::MAX),
    );
    let ballot = QueryMsg::Ballot {
        experiment,
        round: 0,
        account,
    };
    assert_refused(
        suite.try_ask::<BallotResponse>(&ballot),
        &E::WrongRound(u32::MAX),
    );
    let nobody = QueryMsg::Learner {
        experiment,
        account: "nobody".to_string(),
    };
    assert_refused(
        suite.try_ask::<LearnerResponse>(&nobody),
        &E::InvalidParameter("account"),
    );
}

#[test]
fn query_of_a_future_round_is_refused() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.decline("ana").unwrap();
    let experiment = suite.id();
    let ahead = suite.try_ask::<RoundResponse>(&QueryMsg::Round {
        experiment,
        round: 2,
    });
    assert_refused(ahead, &E::WrongRound(1));
    let account = suite.account("stranger").into_string();
    let ballot = QueryMsg::Ballot {
        experiment,
        round: 1,
        account,
    };
    let stranger = E::NotALearner(suite.account("stranger"));
    assert_refused(suite.try_ask::<BallotResponse>(&ballot), &stranger);
}

#[test]
fn domain_contains_the_chain_and_the_contract() {
    let suite = Suite::new();
    let answer: DomainResponse = suite.ask(&QueryMsg::Domain {});
    let chain = suite.app.block_info().chain_id;
    assert_eq!(
        (&answer.chain_id, &answer.contract),
        (&chain, &suite.contract)
    );
    let text = format!("CollectiveLearning\0{}\0{chain}\0{}", 2, suite.contract);
    assert_eq!(answer.separator.as_slice(), sha256(&[text.as_bytes()]));
}

#[test]
fn past_rounds_do_not_change() {
    let mut suite = Suite::running(&["ana", "bob"], |_| ());
    suite.propose("ana", "weights").unwrap();
    suite.vote("bob", NO).unwrap();
    let (round, ballot) = (suite.round_at(0), suite.ballot(0, "bob"));
    suite.propose("bob", "more").unwrap();
    suite.lapse_phase();
    suite.leave("bob").unwrap();
    assert_eq!((suite.round_at(0), suite.ballot(0, "bob")), (round, ballot));
}

#[test]
fn agenda_has_all_that_a_step_needs() {
    let mut suite = Suite::enrolled(&THREE, |_| ());
    let agenda = suite.agenda("ana");
    assert_eq!(agenda.experiment, suite.experiment());
    assert_eq!((agenda.round, agenda.duty), (None, Duty::Wait));
    assert_eq!(agenda.learner, Some(suite.learner("ana")));

    suite.start().unwrap();
    suite.propose("ana", "weights").unwrap();
    let agenda = suite.agenda("bob");
    assert_eq!(agenda.round, Some(suite.round()));
    assert_eq!(agenda.duty, Duty::Vote);
    let outsider = suite.agenda("stranger");
    assert_eq!((outsider.learner, outsider.duty), (None, Duty::Wait));

    suite.vote("bob", NO).unwrap();
    suite.vote("cy", NO).unwrap();
    suite.cancel("creator").unwrap();
    let agenda = suite.agenda("bob");
    assert_eq!(agenda.round, Some(suite.round_at(1)));
    assert_eq!(
        (agenda.experiment, agenda.duty),
        (suite.experiment(), Duty::Done)
    );
    let unknown = QueryMsg::Agenda {
        experiment: 9u64.into(),
        account: suite.account("ana").into_string(),
    };
    let answer = suite.try_ask::<AgendaResponse>(&unknown);
    assert_refused(answer, &E::UnknownExperiment(9));
}
