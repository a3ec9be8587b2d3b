//! Serves one connection: authenticates the caller, reads one request, decides on it, sends the order to the
//! monitor and answers the caller.

use std::time::Duration;

use bytes::BytesMut;
use pp_protocol::codec::{self, CodecError, HEADER, MAX_FRAME};
use pp_protocol::{Ask, Grant, Reply, Request, Verb};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::job_queue::Answer;
use super::{Front, peer};
use crate::audit::log_limiter::UNTOLD;
use crate::audit::{self, Subject};
use crate::pair::millis;
use crate::policy::{Caller, Decision, Reason};

/// The whole answer to every caller who may not do what the request asks for, as a frame. The bytes are the
/// same whether the unit is listed, listed for others, or does not exist.
pub const DENIED: [u8; 6] = [0, 0, 0, 2, 1, 0];

/// The wait that the answer to a caller with too many connections names.
const TOO_MANY: Duration = Duration::from_secs(1);

/// Why no valid request was read from a connection.
#[derive(Debug, Error)]
enum Unread {
    #[error("no request within the time for one")]
    Late,
    #[error("the connection ended before a request did")]
    Ended,
    #[error("more than one request was sent")]
    Trailing,
    #[error("{0}")]
    Codec(#[from] CodecError),
}

/// Serves one connection to its end. Nothing that a client does makes this function fail.
pub(super) async fn serve(front: &Front, mut stream: UnixStream) {
    let caller = match peer::caller(&stream) {
        Ok(caller) => caller,
        Err(unknown) => {
            let reason = format!("denied: a caller, as {unknown}");
            front.record(UNTOLD, &reason, || audit::note("decision", &reason));
            return answer(front, &mut stream, &DENIED).await;
        }
    };
    if front.policy.people.is_subordinate(caller.uid) {
        // Before the connection is counted: a user can have thousands of such uids, so a count for each uid
        // would bound nothing, and all of them are refused anyway.
        let reason = "its uid is in a subordinate range of this host (/etc/subuid)";
        front.record(UNTOLD, reason, || {
            audit::decision(&caller, &Subject::default(), "denied", reason, None);
        });
        return answer(front, &mut stream, &DENIED).await;
    }
    let Some(_admitted) = front.admit(&caller) else {
        decided(
            front,
            &caller,
            &Subject::default(),
            "busy",
            "too many connections of this uid",
        );
        let retry_after_ms = millis(TOO_MANY);
        return reply(front, &mut stream, &[Reply::Busy { retry_after_ms }]).await;
    };
    let read = timeout(front.settings.request, read(&mut stream)).await;
    match read.unwrap_or(Err(Unread::Late)) {
        Err(unread) => {
            let reason = unread.to_string();
            decided(front, &caller, &Subject::default(), "closed", &reason);
        }
        Ok(Request { ask: Ask::List, .. }) => list(front, &caller, &mut stream).await,
        Ok(Request {
            ask: Ask::Act { verb, unit },
            ..
        }) => {
            act(front, &caller, verb, &unit, &mut stream).await;
        }
    }
}

async fn act(front: &Front, caller: &Caller, verb: Verb, name: &str, stream: &mut UnixStream) {
    let subject = Subject::new(verb, name);
    let index = match front.policy.decide(caller, verb, name) {
        Decision::Allowed(index) => index,
        Decision::Denied(reason) => {
            let reason = match reason {
                _ if front.refused => "the policy was refused, nothing is allowed",
                Reason::NotListed => "not in the policy",
                Reason::NotGranted => "not allowed to this caller",
                Reason::NoUser => "no user of this host",
            };
            decided(front, caller, &subject, "denied", reason);
            return answer(front, stream, &DENIED).await;
        }
    };
    let asked = front.job_queue.borrow_mut().ask(index, verb);
    let (Some((order, ticket)), Some(unit)) = (asked, front.policy.units.get(index)) else {
        return answer(front, stream, &DENIED).await;
    };
    if let Some(order) = order {
        let _ = front.orders.send(order.encode());
    }
    let how = match order {
        Some(_) => "in the policy",
        None => "in the policy, joins the next one",
    };
    // The monitor knows whether the limit allows the order. For a request that the limit does not allow, the
    // front writes only the `busy` record below.
    if ticket.accepted.await.is_ok() {
        // Does not pass the log limiter, because no restart may lack its record. The number of these records is
        // bounded all the same: at most sixteen callers share one restart, and the restarts are limited.
        audit::decision(caller, &subject, "allowed", how, Some(ticket.order));
    }
    let message = match ticket.answer.await {
        // The monitor is gone, so the front ends too: the connection ends without an answer.
        Err(_) => return,
        Ok(Answer::Busy(after)) => {
            decided(
                front,
                caller,
                &subject,
                "busy",
                "the unit's limit is reached",
            );
            Reply::Busy {
                retry_after_ms: millis(after),
            }
        }
        Ok(Answer::Finished(report)) => {
            audit::outcome(caller, verb, &unit.name, ticket.order, &report);
            Reply::Finished(report)
        }
    };
    reply(front, stream, &[message]).await;
}

async fn list(front: &Front, caller: &Caller, stream: &mut UnixStream) {
    let mut replies = Vec::new();
    for unit in &front.policy.units {
        for verb in Verb::ALL {
            if front.policy.grants(unit, caller, verb) {
                replies.push(Reply::Grant(Grant {
                    unit: unit.name.to_string(),
                    verb,
                    burst: unit.limit.burst,
                    every_ms: millis(unit.limit.every),
                }));
            }
        }
    }
    let subject = Subject::default();
    if replies.is_empty() {
        decided(
            front,
            caller,
            &subject,
            "denied",
            "may do nothing, asked for the list",
        );
        return answer(front, stream, &DENIED).await;
    }
    decided(front, caller, &subject, "allowed", "asked for the list");
    replies.push(Reply::End);
    reply(front, stream, &replies).await;
}

fn decided(front: &Front, caller: &Caller, subject: &Subject, verdict: &str, reason: &str) {
    let like = format!("{verdict}: {subject}: {reason}");
    front.record(caller.uid, &like, || {
        audit::decision(caller, subject, verdict, reason, None);
    });
}

async fn read(stream: &mut UnixStream) -> Result<Request, Unread> {
    let (mut framing, mut buffer) = (codec::framing(), BytesMut::new());
    let mut chunk = [0; HEADER + MAX_FRAME];
    loop {
        if let Some(payload) = codec::unframe(&mut framing, &mut buffer)? {
            let request = codec::decode_request(&payload)?;
            return if buffer.is_empty() {
                Ok(request)
            } else {
                Err(Unread::Trailing)
            };
        }
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => buffer.extend_from_slice(chunk.get(..n).unwrap_or_default()),
            _ => return Err(Unread::Ended),
        }
    }
}

async fn reply(front: &Front, stream: &mut UnixStream, replies: &[Reply]) {
    let mut bytes = BytesMut::new();
    for reply in replies {
        // Every reply fits into a frame: a grant's name has at most 255 bytes, and each text of a report 24.
        let Ok(frame) = codec::encode_reply(reply).and_then(codec::frame) else {
            return;
        };
        bytes.extend_from_slice(&frame);
    }
    answer(front, stream, &bytes).await;
}

async fn answer(front: &Front, stream: &mut UnixStream, bytes: &[u8]) {
    // A caller that does not receive the answer in time loses it; the result of the request is in the log.
    let _ = timeout(front.settings.reply, stream.write_all(bytes)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_11_the_denial_is_the_protocols_own_denial() {
        let frame = codec::frame(codec::encode_reply(&Reply::Denied).unwrap()).unwrap();
        assert_eq!(frame, DENIED[..]);
    }
}
