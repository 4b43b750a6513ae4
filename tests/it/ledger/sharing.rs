//! Many callers, through several doors to one ledger as several processes have them: one of them succeeds.

use std::sync::Arc;

use duskgate::ledger::{Change, Commit, Issue, Issued, Rename, Reserve, State, Store, Usage};
use futures_util::future::join_all;
use serde_json::json;

use super::on_every_store;
use super::world::{World, at, issue, token, usage};

on_every_store!(
    a_new_ledger_can_be_opened_by_many_at_once,
    of_many_that_reserve_one_token_one_succeeds,
    of_many_calls_of_one_consumer_one_is_the_first,
    a_token_that_is_released_amid_a_race_is_used_once,
    of_many_calls_under_one_key_one_issues,
    of_many_that_give_one_name_one_succeeds_and_the_others_change_nothing,
    changes_of_different_things_at_once_are_all_kept,
    a_token_that_is_changed_amid_its_use_is_used_once,
    what_one_door_wrote_the_other_reads,
);

const DOORS: usize = 4;
const CALLERS: usize = 64;

fn doors(world: &World) -> Vec<Arc<dyn Store>> {
    (0..DOORS).map(|_| world.open()).collect()
}

async fn a_new_ledger_can_be_opened_by_many_at_once(world: World) {
    let doors = doors(&world);
    let answers = join_all(doors.iter().map(|door| door.check())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

async fn of_many_that_reserve_one_token_one_succeeds(world: World) {
    let doors = doors(&world);
    for round in 0..10 {
        let id = format!("token {round}");
        issue(&*doors[0], &id).await;
        let consumers: Vec<_> = (0..CALLERS).map(|number| format!("user:{number}")).collect();
        let race = consumers.iter().enumerate().map(|(number, consumer)| {
            let (door, id) = (&doors[number % DOORS], &id);
            async move { (consumer, door.reserve(id, consumer, at(1)).await.unwrap()) }
        });
        let (won, lost): (Vec<_>, Vec<_>) =
            join_all(race).await.into_iter().partition(|(_, answer)| matches!(answer, Reserve::Fresh(_)));
        assert_eq!(won.len(), 1, "{won:?}");
        assert!(lost.iter().all(|(_, answer)| *answer == Reserve::Taken), "{lost:?}");
        let owner = won[0].0;
        assert_eq!(doors[1].commit(&id, owner, at(2)).await.unwrap(), Commit::Done);
    }
}

async fn of_many_calls_of_one_consumer_one_is_the_first(world: World) {
    let doors = doors(&world);
    issue(&*doors[0], "a").await;
    let race = (0..CALLERS).map(|number| doors[number % DOORS].reserve("a", "user:ben", at(1)));
    let answers: Vec<_> = join_all(race).await.into_iter().map(Result::unwrap).collect();
    let fresh = answers.iter().filter(|answer| matches!(answer, Reserve::Fresh(_))).count();
    let mine = answers.iter().filter(|answer| **answer == Reserve::Mine).count();
    assert_eq!((fresh, mine), (1, CALLERS - 1), "{answers:?}");
}

/// Every consumer tries until the token is used up; of those that had it, some give it back.
async fn a_token_that_is_released_amid_a_race_is_used_once(world: World) {
    let doors = doors(&world);
    issue(&*doors[0], "a").await;
    let race = (0..CALLERS).map(|number| {
        let door = &doors[number % DOORS];
        async move {
            let consumer = format!("user:{number}");
            loop {
                match door.reserve("a", &consumer, at(1)).await.unwrap() {
                    Reserve::Fresh(round) if number < CALLERS / 2 => {
                        door.release("a", &consumer, round).await.unwrap();
                        return false;
                    }
                    Reserve::Fresh(_) => {
                        return door.commit("a", &consumer, at(2)).await.unwrap() == Commit::Done;
                    }
                    Reserve::Taken => tokio::task::yield_now().await,
                    Reserve::Used => return false,
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    let used = join_all(race).await.into_iter().filter(|used| *used).count();
    assert_eq!(used, 1, "{:?}", usage(&*doors[0], "a").await);
}

async fn of_many_calls_under_one_key_one_issues(world: World) {
    let doors = doors(&world);
    let tokens: Vec<_> = (0..CALLERS)
        .map(|number| Issued { idempotency: Some(vec![9; 32]), ..token(&format!("{number}")) })
        .collect();
    let race = tokens.iter().enumerate().map(|(number, token)| doors[number % DOORS].issue(token));
    let mut ids = Vec::new();
    let mut recorded = 0;
    for (token, answer) in tokens.iter().zip(join_all(race).await) {
        match answer.unwrap() {
            Issue::Recorded => {
                recorded += 1;
                ids.push(token.id.clone());
            }
            Issue::Repeated(earlier) => ids.push(earlier.id),
            Issue::NameTaken => panic!("the names differ"),
        }
    }
    ids.dedup();
    assert_eq!((recorded, ids.len()), (1, 1), "{ids:?}");
}

async fn of_many_that_give_one_name_one_succeeds_and_the_others_change_nothing(world: World) {
    let doors = doors(&world);
    let ids: Vec<_> = (0..CALLERS).map(|number| format!("token {number}")).collect();
    join_all(ids.iter().map(|id| issue(&*doors[0], id))).await;
    let change = Change {
        name: Some("the one".to_owned()),
        custom_metadata: Some(json!({ "ticket": 4711 })),
        revoked: Some(true),
    };
    let race = ids.iter().enumerate().map(|(number, id)| doors[number % DOORS].update(id, &change, at(1)));
    let answers: Vec<_> = join_all(race).await.into_iter().map(Result::unwrap).collect();
    let done = answers.iter().filter(|answer| **answer == Rename::Done).count();
    let taken = answers.iter().filter(|answer| **answer == Rename::NameTaken).count();
    assert_eq!((done, taken), (1, CALLERS - 1), "{answers:?}");
    for (id, answer) in ids.iter().zip(&answers) {
        let found = doors[0].get(id).await.unwrap().expect("a token");
        let expected = match answer {
            Rename::Done => Issued {
                name: "the one".to_owned(),
                custom_metadata: Some(json!({ "ticket": 4711 })),
                revoked: true,
                ..token(id)
            },
            _ => token(id),
        };
        assert_eq!(found, expected);
    }
    assert_eq!(doors[1].update("missing", &change, at(1)).await.unwrap(), Rename::Unknown);
}

async fn changes_of_different_things_at_once_are_all_kept(world: World) {
    let doors = doors(&world);
    for round in 0..10 {
        let id = format!("token {round}");
        issue(&*doors[0], &id).await;
        let changes = [
            Change { name: Some(format!("name {round}")), ..Change::default() },
            Change { custom_metadata: Some(json!({ "round": round })), ..Change::default() },
            Change { revoked: Some(true), ..Change::default() },
        ];
        let race = changes.iter().zip(&doors).map(|(change, door)| door.update(&id, change, at(1)));
        assert!(join_all(race).await.into_iter().all(|answer| answer.unwrap() == Rename::Done));
        let found = doors[3].get(&id).await.unwrap().expect("a token");
        assert_eq!(
            (found.name.as_str(), &found.custom_metadata, found.state()),
            (format!("name {round}").as_str(), &Some(json!({ "round": round })), State::Revoked)
        );
    }
}

/// Revoking races with using: whoever comes first, the one use is of one consumer and stays with it.
async fn a_token_that_is_changed_amid_its_use_is_used_once(world: World) {
    let doors = doors(&world);
    for round in 0..10 {
        let id = format!("token {round}");
        issue(&*doors[0], &id).await;
        let consumers: Vec<_> = (0..8).map(|number| format!("user:{number}")).collect();
        let uses = consumers.iter().enumerate().map(|(number, consumer)| {
            let (door, id) = (&doors[number % DOORS], &id);
            async move {
                match door.reserve(id, consumer, at(1)).await.unwrap() {
                    Reserve::Fresh(_) => Some((consumer, door.commit(id, consumer, at(2)).await.unwrap())),
                    Reserve::Taken | Reserve::Used | Reserve::Revoked => None,
                    other => panic!("{other:?}"),
                }
            }
        });
        let (revoke, restore) = (
            Change { revoked: Some(true), ..Change::default() },
            Change { revoked: Some(false), ..Change::default() },
        );
        let changes = async {
            assert_eq!(doors[1].update(&id, &revoke, at(3)).await.unwrap(), Rename::Done);
            assert_eq!(doors[2].update(&id, &restore, at(4)).await.unwrap(), Rename::Done);
        };
        let (used, ()) = futures_util::future::join(join_all(uses), changes).await;
        let used: Vec<_> = used.into_iter().flatten().collect();
        match (usage(&*doors[3], &id).await, &used[..]) {
            (Usage::Unused, []) => {}
            (Usage::Used { consumer, at: moment }, [(winner, Commit::Done)]) => {
                assert_eq!((&consumer, moment), (*winner, at(2)));
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn what_one_door_wrote_the_other_reads(world: World) {
    let doors = doors(&world);
    for round in 0..50 {
        let id = format!("token {round}");
        issue(&*doors[round % DOORS], &id).await;
        assert_eq!(doors[(round + 1) % DOORS].get(&id).await.unwrap(), Some(token(&id)));
    }
}
