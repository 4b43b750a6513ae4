//! Whether a user may invite: by an effective privilege in the target, by owning a space, or by an administrative
//! privilege (contract, sections 7.1 and 10.1). The caller asks for itself, the service for anybody.

use http::StatusCode;

use super::asking::{Asking, Service, Stop, lists, useless};
use super::invitation::{BASE, Invitation};
use crate::route;
use crate::serve::rewrite::answer;
use crate::upstream::Answer;

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Asker<'a> {
    /// The user itself.
    User(&'a Asking<'a>),
    Service(&'a Service),
}

/// Whether this user may issue this invitation.
pub(super) struct Question<'a> {
    pub invitation: &'static Invitation,
    pub target: &'a str,
    pub user: &'a str,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgment {
    Allowed,
    NotAllowed,
    /// There is nothing to invite to.
    NoTarget,
    /// There is no such user.
    NoUser,
}

/// What is known when it is asked.
pub(super) enum Known {
    Nothing,
    /// The user is a member: this is the list of its effective privileges.
    Member(Answer),
    /// The user is none, and the target exists.
    Stranger,
}

impl Question<'_> {
    /// The path of the user's effective privileges.
    pub fn path(&self) -> String {
        let target = self.invitation.target_path(self.target);
        format!("{target}/effective_users/{}/privileges", route::encode(self.user.as_bytes()))
    }

    /// Asks.
    pub async fn ask(&self, asker: Asker<'_>, known: Known) -> Result<Judgment, Stop> {
        let list = match known {
            Known::Member(list) => Some(list),
            Known::Stranger => None,
            Known::Nothing => {
                let path = self.path();
                let answer = asker.get(&path).await?;
                match answer.status {
                    StatusCode::OK => Some(answer),
                    _ if answer::says_not_found(&answer) => {
                        if !self.finds_target(asker).await? {
                            return Ok(Judgment::NoTarget);
                        }
                        None
                    }
                    _ => return Err(asker.useless(answer, &path)),
                }
            }
        };
        if let Some(list) = list
            && (lists(&list, "privileges", self.invitation.privilege) || self.is_owner(asker).await?)
        {
            return Ok(Judgment::Allowed);
        }
        self.is_admin(asker).await
    }

    async fn finds_target(&self, asker: Asker<'_>) -> Result<bool, Stop> {
        let path = self.invitation.target_path(self.target);
        let answer = asker.get(&path).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            // Who asks may not look at it, so it is there.
            StatusCode::FORBIDDEN => Ok(true),
            _ if answer::says_not_found(&answer) => Ok(false),
            _ => Err(asker.useless(answer, &path)),
        }
    }

    /// Owners of a space hold all privileges, whatever is listed.
    async fn is_owner(&self, asker: Asker<'_>) -> Result<bool, Stop> {
        if self.invitation.collection != "spaces" {
            return Ok(false);
        }
        let path = format!("{}/owners", self.invitation.target_path(self.target));
        let answer = asker.get(&path).await?;
        match (answer.status, asker) {
            (StatusCode::OK, _) => Ok(lists(&answer, "users", self.user)),
            // An owner may always look.
            (StatusCode::FORBIDDEN, Asker::User(_)) => Ok(false),
            _ => Err(asker.useless(answer, &path)),
        }
    }

    async fn is_admin(&self, asker: Asker<'_>) -> Result<Judgment, Stop> {
        match holds(asker, self.user, self.invitation.admin).await? {
            Some(true) => Ok(Judgment::Allowed),
            Some(false) => Ok(Judgment::NotAllowed),
            None => Ok(Judgment::NoUser),
        }
    }
}

/// Whether a user effectively holds an administrative privilege; `None` if there is no such user.
pub(super) async fn holds(asker: Asker<'_>, user: &str, privilege: &str) -> Result<Option<bool>, Stop> {
    let path = match asker {
        Asker::User(_) => format!("{BASE}/user/effective_privileges"),
        Asker::Service(_) => format!("{BASE}/users/{}/effective_privileges", route::encode(user.as_bytes())),
    };
    let answer = asker.get(&path).await?;
    match answer.status {
        StatusCode::OK => Ok(Some(lists(&answer, "privileges", privilege))),
        _ if answer::says_not_found(&answer) => Ok(None),
        _ => Err(asker.useless(answer, &path)),
    }
}

impl Asker<'_> {
    pub async fn get(self, path: &str) -> Result<Answer, Stop> {
        match self {
            Asker::User(asking) => asking.get(path).await,
            Asker::Service(service) => Ok(service.get(path).await?),
        }
    }

    /// The end of a call whose question is not answered: what the backend says to the user is passed on.
    pub fn useless(self, answer: Answer, path: &str) -> Stop {
        match self {
            Asker::User(asking) => asking.pass(answer, path),
            Asker::Service(_) => useless(&answer, path),
        }
    }
}
