//! What is worth another try, and where: the judgement for [`unigate_layers::retry::Fallback`].

use crate::{
    error::{Again, Error},
    record::{Record, attempt_words},
};
use http::{Extensions, HeaderMap, Response, StatusCode, header::RETRY_AFTER};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use unigate_layers::{
    notes::Attempt,
    retry::{Judge, Verdict},
};

/// Judges the answers of language models.
///
/// * A connection that failed or broke, an answer that ended early, and a 500, 502 or 504: the same target again.
/// * 429 with a `Retry-After` short enough to wait for: the same target again, then; without one, or longer: the next.
/// * 503, our own limit, a time-out, a refused credential: the next target at once. A full queue is not emptied by asking again.
/// * A `Retry-After` is obeyed before any other target of the same upstream, too.
/// * Everything else is the answer. 404 among it: answering for a model that does not exist would hide the mistake.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worth;

/// The longest `Retry-After` that is worth waiting for beside a client that waits too.
const PATIENCE: Duration = Duration::from_secs(5);

impl<R> Judge<R, Error> for Worth {
    fn judge(&self, result: Result<&Response<R>, &Error>) -> Verdict {
        match result {
            Ok(response) => status(response.status(), response.headers()),
            Err(error) => match error.again() {
                Again::Never => Verdict::Done,
                Again::SameTarget => Verdict::Same { after: None },
                Again::NextTarget => Verdict::Next { after: None },
            },
        }
    }

    fn outcome(&self, result: Result<&Response<R>, &Error>) -> Arc<str> {
        match result {
            Ok(response) => response.status().as_str().into(),
            Err(error) => error.code().into(),
        }
    }

    fn attempted(&self, extensions: &Extensions, attempt: &Attempt) {
        if let Some(record) = extensions.get::<Record>() {
            record.attempted(attempt.clone());
        }
    }

    fn exhausted(&self, attempts: &[Attempt], result: &mut Result<Response<R>, Error>) {
        match result {
            Err(error) if attempts.len() > 1 && error.again() != Again::Never => {
                let mut lines: Vec<String> =
                    attempts.iter().map(|attempt| attempt_words(attempt, ":")).collect();
                if let Some(last) = lines.last_mut() {
                    last.push_str(&format!(" ({error})"));
                }
                *error = Error::AllFailed { attempts: lines.into(), last: Box::new(error.clone()) };
            }
            // Our attempts are spent; an SDK that retries would multiply them. Who was only told to come back later
            // may.
            Ok(response) if attempts.len() > 1 || is_failure(response.status()) => {
                response
                    .headers_mut()
                    .insert("x-should-retry", http::HeaderValue::from_static("false"));
            }
            _ => {}
        }
    }
}

/// Whether this is the upstream's own failure, and not a request to come back later.
fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 504)
}

fn status(status: StatusCode, headers: &HeaderMap) -> Verdict {
    match status {
        StatusCode::TOO_MANY_REQUESTS => match retry_after(headers) {
            Some(after) if after <= PATIENCE => Verdict::Same { after: Some(after) },
            after => Verdict::Next { after },
        },
        StatusCode::INTERNAL_SERVER_ERROR
        | StatusCode::BAD_GATEWAY
        | StatusCode::GATEWAY_TIMEOUT => Verdict::Same { after: None },
        StatusCode::SERVICE_UNAVAILABLE => Verdict::Next { after: retry_after(headers) },
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PAYMENT_REQUIRED => Verdict::Next { after: None },
        // Anthropic's word for 503.
        _ if status.as_u16() == 529 => Verdict::Next { after: retry_after(headers) },
        _ => Verdict::Done,
    }
}

/// Seconds, or a date, which means the time until then. Source: RFC 9110 10.2.3.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            Some(at.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(code: u16, retry_after: Option<&str>) -> Verdict {
        let mut response = Response::builder().status(code);
        if let Some(after) = retry_after {
            response = response.header(RETRY_AFTER, after);
        }
        Worth.judge(Ok(&response.body(()).unwrap()))
    }

    #[test]
    fn an_answer_is_an_answer_and_a_missing_model_is_one_too() {
        for code in [200, 204, 400, 404, 413, 422] {
            assert!(matches!(judge(code, None), Verdict::Done), "{code}");
        }
    }

    #[test]
    fn a_full_queue_sends_to_the_next_target_at_once() {
        // Of another upstream; one of the same waits.
        let after = Some(Duration::from_secs(1));
        assert_eq!(judge(503, Some("1")), Verdict::Next { after });
        assert_eq!(judge(529, Some("1")), Verdict::Next { after });
        let full = Error::Overloaded {
            upstream: "ollama".into(),
            limit: 1,
            queued: 64,
            waited: Duration::ZERO,
            after: Duration::from_secs(1),
        };
        let verdict = Judge::<(), Error>::judge(&Worth, Err(&full));
        assert!(matches!(verdict, Verdict::Next { after: None }));
    }

    #[test]
    fn a_rate_limit_is_waited_for_when_that_is_short() {
        assert!(matches!(judge(429, Some("2")), Verdict::Same { after: Some(_) }));
        assert!(matches!(judge(429, Some("60")), Verdict::Next { .. }));
        assert_eq!(judge(429, Some("60")), Verdict::Next { after: Some(Duration::from_secs(60)) });
        assert!(matches!(judge(429, None), Verdict::Next { after: None }));
    }

    #[test]
    fn a_date_to_come_back_at_is_a_time_to_wait() {
        let date = |at| httpdate::fmt_http_date(at);
        let soon = date(SystemTime::now() + Duration::from_secs(4));
        assert!(
            matches!(judge(429, Some(&soon)), Verdict::Same { after: Some(after) } if after <= PATIENCE)
        );
        let late = date(SystemTime::now() + Duration::from_secs(600));
        assert!(
            matches!(judge(429, Some(&late)), Verdict::Next { after: Some(after) } if after > PATIENCE)
        );
        let past = date(SystemTime::UNIX_EPOCH);
        assert_eq!(judge(429, Some(&past)), Verdict::Same { after: Some(Duration::ZERO) });
        assert_eq!(judge(429, Some("soon")), Verdict::Next { after: None });
    }

    #[test]
    fn who_spent_all_attempts_asks_for_no_more_and_who_shall_come_back_may() {
        for (code, told) in [(500, true), (502, true), (504, true), (429, false), (503, false)] {
            let mut result: Result<Response<()>, Error> =
                Ok(Response::builder().status(code).body(()).unwrap());
            let attempt = Attempt { target: None, outcome: "x".into(), elapsed: Duration::ZERO };
            Worth.exhausted(&[attempt], &mut result);
            assert_eq!(result.unwrap().headers().contains_key("x-should-retry"), told, "{code}");
        }
    }

    #[test]
    fn the_last_failure_of_several_names_them_all() {
        let attempt = |upstream: &str, outcome: &str| Attempt {
            target: Some(unigate_layers::notes::Target {
                upstream: upstream.into(),
                scheme: http::uri::Scheme::HTTP,
                authority: http::uri::Authority::from_static("localhost"),
                model: Some("m".into()),
            }),
            outcome: outcome.into(),
            elapsed: Duration::ZERO,
        };
        let mut result: Result<Response<()>, Error> =
            Err(Error::Incomplete { upstream: "b".into() });
        Worth.exhausted(&[attempt("a", "503"), attempt("b", "upstream_incomplete")], &mut result);
        let text = result.unwrap_err().to_string();
        assert!(
            text.starts_with("all 2 attempts failed: a/m: 503; b/m: upstream_incomplete"),
            "{text}"
        );
    }
}
