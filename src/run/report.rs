//! What the stores and the configuration say of themselves at `/metrics` and `/readyz`.

use crate::{
    config::Config,
    gateway::Resources,
    health::Health,
    log::LogRow,
    metrics::{Metrics, Readings},
    readiness::{Part, Readiness},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use unigate_layers::{
    redis::{RedisHealth, RedisStore},
    sqlite::SqliteLog,
};

/// Which configuration runs, and how the last change of it went. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reloads {
    shared: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    taken: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    last_refused: AtomicBool,
}

/// Reports on everything that was opened at the start.
pub(super) fn all(
    config: &Config,
    resources: &Resources,
    redis: Option<RedisStore>,
    reloads: &Reloads,
) {
    let (metrics, readiness) = (&resources.metrics, &resources.readiness);
    log(config, resources.log.clone(), metrics, readiness);
    cache(config, redis, metrics, readiness);
    upstreams(resources.health.clone(), metrics);
    reloads.report(metrics, readiness);
}

fn upstreams(health: Health, metrics: &Metrics) {
    metrics.read("upstreams", move |to| {
        for condition in health.conditions() {
            let labels = [("upstream", &*condition.upstream)];
            let help = "Whether the upstream keeps failing and is left alone";
            to.gauge(
                "unigate_upstream_left_alone",
                help,
                &labels,
                condition.word().ne("closed").into(),
            );
            let help = "How often that began";
            to.counter("unigate_upstream_outages", help, &labels, condition.outages);
        }
    });
}

fn log(config: &Config, log: Option<SqliteLog<LogRow>>, metrics: &Metrics, readiness: &Readiness) {
    let wanted = config.log.enabled;
    match log {
        Some(log) => {
            let asked = log.clone();
            readiness.part("log", move || match asked.failing() {
                Some(why) => Part::Failing(why),
                None => Part::Ok,
            });
            metrics.read("log", move |to| rows(&log, to));
        }
        None => {
            readiness.part("log", move || match wanted {
                true => {
                    Part::Failing("the file could not be opened when the program started".into())
                }
                false => Part::Off,
            });
            metrics.read("log", move |to| failing(to, wanted));
        }
    }
}

fn rows(log: &SqliteLog<LogRow>, to: &mut Readings) {
    to.counter("unigate_log_rows_written", "Rows that are in the file", &[], log.written());
    let help = "Rows that will never be in the file";
    to.counter("unigate_log_rows_dropped", help, &[], log.dropped());
    let help = "Rows that wait to be written";
    to.gauge("unigate_log_rows_waiting", help, &[], log.waiting() as f64);
    failing(to, log.failing().is_some());
}

fn failing(to: &mut Readings, fails: bool) {
    let help = "Whether rows cannot be written at present";
    to.gauge("unigate_log_failing", help, &[], f64::from(u8::from(fails)));
}

/// Reports on the cache; again when a reload has brought another.
pub(super) fn cache(
    config: &Config,
    redis: Option<RedisStore>,
    metrics: &Metrics,
    readiness: &Readiness,
) {
    let store = config.cache.store.clone();
    match redis {
        Some(redis) => {
            let asked = redis.clone();
            readiness.part("cache", move || match asked.health() {
                RedisHealth { failing: true, .. } => {
                    Part::Failing("redis does not answer; answers are not cached".into())
                }
                RedisHealth { read_only: true, .. } => {
                    Part::Failing("redis takes no writes; new answers are not cached".into())
                }
                _ => Part::Ok,
            });
            metrics.read("cache", move |to| commands(&redis, to));
        }
        None => {
            metrics.forget("cache");
            readiness.part("cache", move || match store.as_str() {
                "off" => Part::Off,
                "redis" => {
                    Part::Failing("redis cannot be used; answers are cached in memory".into())
                }
                _ => Part::Ok,
            });
        }
    }
}

fn commands(redis: &RedisStore, to: &mut Readings) {
    let health = redis.health();
    let help = "Redis commands that came to nothing";
    for (why, count) in [
        ("timeout", health.timeouts),
        ("failure", health.failures),
        ("skipped", health.skipped),
        ("dropped", health.dropped),
        ("garbage", health.garbage),
    ] {
        to.counter("unigate_redis_misfortunes", help, &[("why", why)], count);
    }
    let help = "Whether Redis is known to be away, so that nothing is sent to it";
    to.gauge("unigate_redis_open", help, &[], f64::from(u8::from(health.failing)));
    let help = "Whether Redis is known to refuse writes, so that only look-ups are sent to it";
    to.gauge("unigate_redis_read_only", help, &[], f64::from(u8::from(health.read_only)));
}

// === impl Reloads ===

impl Reloads {
    /// A changed configuration runs now.
    pub(super) fn taken(&self) {
        self.shared.taken.fetch_add(1, Ordering::Relaxed);
        self.shared.last_refused.store(false, Ordering::Relaxed);
    }

    /// There was nothing new.
    pub(super) fn unchanged(&self) {
        self.shared.unchanged.fetch_add(1, Ordering::Relaxed);
        self.shared.last_refused.store(false, Ordering::Relaxed);
    }

    /// What was found cannot run; the old configuration does.
    pub(super) fn refused(&self) {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        self.shared.last_refused.store(true, Ordering::Relaxed);
    }

    fn report(&self, metrics: &Metrics, readiness: &Readiness) {
        let (counts, asked) = (self.shared.clone(), self.shared.clone());
        metrics.read("config", move |to| {
            let [taken, unchanged, refused] = [&counts.taken, &counts.unchanged, &counts.refused]
                .map(|count| count.load(Ordering::Relaxed));
            let help =
                "Which configuration runs: 1 is the first, and each change that is taken adds one";
            to.gauge("unigate_config_generation", help, &[], (taken + 1) as f64);
            let help = "Looks at a configuration that was to be reloaded";
            for (result, count) in
                [("taken", taken), ("unchanged", unchanged), ("refused", refused)]
            {
                to.counter("unigate_config_reloads", help, &[("result", result)], count);
            }
            let last = u8::from(!counts.last_refused.load(Ordering::Relaxed));
            let help = "Whether the last change was taken, or there was nothing to take";
            to.gauge("unigate_config_last_reload_ok", help, &[], f64::from(last));
        });
        readiness.part("config", move || match asked.last_refused.load(Ordering::Relaxed) {
            true => Part::Failing(
                "the last change cannot run, the one before does; the program's messages say why"
                    .into(),
            ),
            false => Part::Ok,
        });
    }
}
