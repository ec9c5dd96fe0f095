//! Asks declared probes at their interval (`interval = "30s"`), and tells when one
//! goes unanswered too often: a service can be up and of no use.
//!
//! All are asked on one thread, however many they are: whoever waits for an answer is a task.
//! Without such a probe there is no thread, and nothing wakes up.

use std::{
    io,
    pin::Pin,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use prunella_core::{UnitName, service::Service};
use prunella_health::UnansweredInARow;
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
    time::sleep,
};

/// What a task cannot do is done on so many threads at most: programs that are run, looks at
/// units, and what is written.
const THREADS: usize = 32;

/// A probe without an interval is asked until it is answered for the first time: this
/// long after the first time, then after twice as long each time, …
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A probe that is asked while all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    pub unit: UnitName,
    /// The probe's name.
    pub probe: String,
    /// How often it is asked. With none it is asked until it was answered once.
    pub interval: Option<Duration>,
    /// So many unanswered in a row are told.
    pub failure_threshold: u32,
    /// Whether it was answered before: then it is asked within its interval for the first
    /// time, else at once.
    pub was_answered: bool,
}

impl ProbeTarget {
    /// The service's own probes that are to be asked: those that have an interval, and
    /// those of which `was_answered` does not know that they ever were.
    pub fn of(service: &Service, was_answered: impl Fn(&str) -> bool) -> Vec<Self> {
        service
            .own_probes()
            .map(|(name, probe)| Self {
                unit: service.unit.clone(),
                probe: name.clone(),
                interval: probe.interval,
                failure_threshold: probe.failure_threshold.max(1),
                was_answered: was_answered(name),
            })
            .filter(|target| target.interval.is_some() || !target.was_answered)
            .collect()
    }
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It answered as it should.
    Answering,
    /// It did not; why.
    NotAnswering(String),
    /// It did not, and never has since it was declared as it is; why. That says
    /// nothing about the service.
    NeverAnswered(String),
    /// It was not asked: the service is down, paused, or being healed. That is
    /// somebody else's matter.
    NotNow,
}

/// A question that is under way. It must not block: what does has a thread of its own
/// (`tokio::task::spawn_blocking`).
pub type Asking = Pin<Box<dyn Future<Output = Asked> + Send>>;

/// What asks a probe.
pub type Ask = dyn Fn(UnitName, String) -> Asking + Send + Sync;

/// A probe that goes unanswered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    pub unit: UnitName,
    /// The probe's name.
    pub probe: String,
    /// What came instead of an answer.
    pub why: String,
    /// When it was first asked in vain.
    pub since: Instant,
    /// Whether it was ever answered.
    pub was_answered: bool,
}

/// Who is told.
pub type Tell = dyn Fn(Unanswered) + Send + Sync;

/// Asks until it is dropped.
#[derive(Debug)]
pub struct Prober {
    /// The thread ends when this is gone. None runs where there is nothing to ask.
    _alive: Option<oneshot::Sender<()>>,
}

impl Prober {
    /// Asks each of `targets` through `ask`, one question at a time, and tells
    /// when its limit is reached; again only when it is reached anew.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub fn start(targets: Vec<ProbeTarget>, ask: &Arc<Ask>, tell: &Arc<Tell>) -> io::Result<Self> {
        // Not all at once: one after the other within their intervals.
        let count = u32::try_from(targets.len()).unwrap_or(u32::MAX).max(1);
        let questions = (1..=count).zip(targets).map(|(place, target)| {
            let first = first_turn(&target, place, count);
            question(target, first, Arc::clone(ask), Arc::clone(tell))
        });
        Self::each(questions)
    }

    /// Asks each of `targets` once, and one that does not answer on and on, until
    /// it answers or its limit is reached: then it is among what is received.
    /// That ends when all is known, and nothing is asked any more when the prober
    /// is dropped.
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub fn round(
        targets: Vec<ProbeTarget>,
        ask: &Arc<Ask>,
    ) -> io::Result<(Self, mpsc::Receiver<Unanswered>)> {
        let (told, unanswered) = mpsc::channel();
        let prober = Self::each(targets.into_iter().map(|target| {
            let (ask, told) = (Arc::clone(ask), told.clone());
            async move {
                let mut streak = Streak::of(target);
                loop {
                    let asked = Instant::now();
                    match streak.ask(&ask).await {
                        Next::Answered | Next::Rest => break,
                        Next::AskOn => streak.wait_since(asked, false).await,
                        Next::Tell(unanswered) => {
                            if told.send(unanswered).is_err() {
                                tracing::debug!("nobody waits for the probes any more");
                            }
                            break;
                        }
                    }
                }
            }
        }))?;
        Ok((prober, unanswered))
    }

    /// Has these asked on a thread of their own.
    fn each<T>(questions: impl Iterator<Item = T>) -> io::Result<Self>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let mut questions = questions.peekable();
        if questions.peek().is_none() {
            return Ok(Self { _alive: None });
        }
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(THREADS)
            .build()?;
        for question in questions {
            runtime.spawn(question);
        }
        let (alive, ended) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("prober".to_owned())
            .stack_size(512 << 10)
            .spawn(move || until_end(runtime, ended))?;
        Ok(Self {
            _alive: Some(alive),
        })
    }
}

fn until_end(runtime: Runtime, ended: oneshot::Receiver<()>) {
    // Nothing is ever sent: the sender's end is the prober's.
    let _ = runtime.block_on(ended);
    runtime.shutdown_background();
}

/// When the target at this place of so many is asked first: one that was answered before
/// within its interval, the last at its end.
fn first_turn(target: &ProbeTarget, place: u32, count: u32) -> Duration {
    if !target.was_answered {
        return Duration::ZERO;
    }
    let interval = target.interval.unwrap_or(FIRST_PAUSE);
    interval.mul_f64(f64::from(place) / f64::from(count.max(1)))
}

/// Asks for as long as it has to be; the first time after `first`.
async fn question(target: ProbeTarget, first: Duration, ask: Arc<Ask>, tell: Arc<Tell>) {
    let mut streak = Streak::of(target);
    sleep(first).await;
    loop {
        let asked = Instant::now();
        let next = streak.ask(&ask).await;
        let was_answered = matches!(next, Next::Answered);
        match next {
            Next::Tell(unanswered) => tell(unanswered),
            Next::Answered if streak.target.interval.is_none() => return,
            Next::Answered | Next::Rest | Next::AskOn => {}
        }
        streak.wait_since(asked, was_answered).await;
    }
}

/// How long after the end of a question that took so long the next one is asked. After an
/// answer that took longer than the interval that is not at once, but when it would have been
/// asked otherwise: a server that was busy is idle the moment it answers, and a question then
/// would find it fast each time, however long everybody else waits.
fn until_next(interval: Duration, took: Duration, was_answered: bool) -> Duration {
    if !was_answered || took < interval {
        return interval.saturating_sub(took);
    }
    let passed = took.as_nanos().checked_rem(interval.as_nanos());
    let passed = passed.and_then(|passed| u64::try_from(passed).ok());
    interval.saturating_sub(Duration::from_nanos(passed.unwrap_or_default()))
}

/// A probe, and how often in a row it went unanswered.
struct Streak {
    target: ProbeTarget,
    unanswered: UnansweredInARow,
    since: Instant,
    /// Until it is asked again.
    pause: Duration,
}

/// What follows from an answer, or from none.
enum Next {
    /// It was answered.
    Answered,
    /// It was not to be asked, or nothing is known.
    Rest,
    /// Not answered; its limit is not reached.
    AskOn,
    /// Its limit is reached.
    Tell(Unanswered),
}

impl Streak {
    fn of(target: ProbeTarget) -> Self {
        Self {
            pause: target.interval.unwrap_or(FIRST_PAUSE),
            target,
            unanswered: UnansweredInARow::default(),
            since: Instant::now(),
        }
    }

    /// Waits for the next question's time. The interval is from one question to the
    /// next, however long its answer takes: a probe that times out is not asked
    /// more rarely for that.
    async fn wait_since(&mut self, asked: Instant, was_answered: bool) {
        sleep(until_next(self.pause, asked.elapsed(), was_answered)).await;
        if self.target.interval.is_none() {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn ask(&mut self, ask: &Arc<Ask>) -> Next {
        if self.unanswered.count() == 0 {
            self.since = Instant::now();
        }
        let ProbeTarget { unit, probe, .. } = self.target.clone();
        let asked = ask(unit, probe).await;
        let was_answered = !matches!(asked, Asked::NeverAnswered(_));
        match asked {
            Asked::NotAnswering(why) | Asked::NeverAnswered(why) => {
                if !self.unanswered.unanswered(self.target.failure_threshold) {
                    return Next::AskOn;
                }
                Next::Tell(Unanswered {
                    unit: self.target.unit.clone(),
                    probe: self.target.probe.clone(),
                    why,
                    since: self.since,
                    was_answered,
                })
            }
            Asked::Answering => {
                self.unanswered.begin_anew();
                Next::Answered
            }
            Asked::NotNow => {
                self.unanswered.begin_anew();
                Next::Rest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than a pool of threads has.
    const HANGING: usize = 600;

    const SOON: Duration = Duration::from_secs(60);

    fn target(probe: &str, interval: Duration, was_answered: bool) -> ProbeTarget {
        ProbeTarget {
            unit: UnitName::new("a.service").unwrap(),
            probe: probe.to_owned(),
            interval: Some(interval),
            failure_threshold: 2,
            was_answered,
        }
    }

    #[test]
    fn what_was_answered_before_is_spread_over_its_interval() {
        let seconds = Duration::from_secs;
        let known = target("a", seconds(10), true);
        assert_eq!(first_turn(&known, 1, 4), Duration::from_millis(2_500));
        assert_eq!(first_turn(&known, 4, 4), seconds(10));
        assert_eq!(first_turn(&known, 1, 1), seconds(10));
        let new = target("a", seconds(10), false);
        assert_eq!(first_turn(&new, 3, 4), Duration::ZERO);
    }

    #[test]
    fn after_a_late_answer_the_next_question_keeps_to_the_interval() {
        let ms = Duration::from_millis;
        let second = ms(1_000);
        assert_eq!(until_next(second, ms(200), true), ms(800));
        assert_eq!(until_next(second, ms(3_200), true), ms(800));
        assert_eq!(until_next(second, ms(1_000), true), ms(1_000));
        // What was not answered is asked again as soon as may be.
        assert_eq!(until_next(second, ms(200), false), ms(800));
        assert_eq!(until_next(second, ms(3_200), false), ms(0));
        assert_eq!(until_next(ms(0), ms(3), true), ms(0));
    }

    #[test]
    fn many_servers_that_hang_delay_no_other_question() {
        let mut targets = vec![target("hangs", SOON, false); HANGING];
        targets.push(target("answers", Duration::from_millis(5), false));
        let (asked, heard) = mpsc::channel();
        let ask: Arc<Ask> = Arc::new(move |_, probe| {
            let asked = asked.clone();
            Box::pin(async move {
                if asked.send(probe.clone()).is_err() || probe == "hangs" {
                    std::future::pending::<()>().await;
                }
                Asked::Answering
            })
        });
        let tell: Arc<Tell> = Arc::new(|unanswered| panic!("{unanswered:?}"));
        let prober = Prober::start(targets, &ask, &tell).unwrap();
        let (mut hanging, mut answered) = (0, 0);
        while hanging < HANGING || answered < 10 {
            match heard.recv_timeout(SOON).unwrap().as_str() {
                "hangs" => hanging += 1,
                _ => answered += 1,
            }
        }
        drop(prober);
        drop(ask);
        // All are let go, and with them who would tell of another question.
        while heard.recv_timeout(SOON).is_ok() {}
        assert_eq!(heard.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn what_goes_unanswered_is_told_at_its_limit() {
        let targets = vec![target("a", Duration::from_millis(1), false)];
        let ask: Arc<Ask> =
            Arc::new(|_, _| Box::pin(async { Asked::NotAnswering("it is silent".to_owned()) }));
        let (tell, told) = mpsc::channel();
        let tell: Arc<Tell> = Arc::new(move |unanswered: Unanswered| {
            let _ = tell.send(unanswered.why);
        });
        let _prober = Prober::start(targets, &ask, &tell).unwrap();
        for _ in 0..2 {
            assert_eq!(told.recv_timeout(SOON).unwrap(), "it is silent");
        }
    }

    #[test]
    fn with_nothing_to_ask_there_is_no_thread() {
        let ask: Arc<Ask> = Arc::new(|_, _| Box::pin(async { Asked::Answering }));
        let tell: Arc<Tell> = Arc::new(|_| {});
        let prober = Prober::start(Vec::new(), &ask, &tell).unwrap();
        assert!(prober._alive.is_none());
    }
}
