//! Rates, shares and latencies of what endpoints answer, and what is none.

use rstest::rstest;

use super::*;

fn endpoint() -> MetricsEndpoint {
    let selector = |text: &str| text.parse().unwrap();
    MetricsEndpoint {
        url: "http://127.0.0.1:9/metrics".to_owned(),
        timeout: Duration::from_secs(1),
        requests: vec![selector("http_requests_total")],
        errors: vec![selector("http_requests_total{code=\"5*\"}")],
        latency: Some(selector("http_duration_seconds{handler=\"/\"}")),
        quantile: None,
    }
}

/// As a client library has it: so many good and bad requests, of which those by `/` took so
/// long in all.
fn text(good: u32, bad: u32, took: f64) -> String {
    let all = good + bad;
    format!(
        "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
         http_requests_total{{code=\"200\",method=\"get\"}} {good}\n\
         http_requests_total{{code=\"503\",method=\"get\"}} {bad} 1395066363000\n\
         # TYPE http_duration_seconds histogram\n\
         http_duration_seconds_bucket{{handler=\"/\",le=\"0.1\"}} {good}\n\
         http_duration_seconds_bucket{{handler=\"/\",le=\"1\"}} {all}\n\
         http_duration_seconds_bucket{{handler=\"/\",le=\"+Inf\"}} {all}\n\
         http_duration_seconds_sum{{handler=\"/\"}} {took}\n\
         http_duration_seconds_count{{handler=\"/\"}} {all}\n\
         http_duration_seconds_sum{{handler=\"/metrics\"}} 4711\n\
         http_duration_seconds_count{{handler=\"/metrics\"}} 1\n"
    )
}

fn values(sample: &EndpointSample) -> Vec<(Metric, u64)> {
    let readings = sample.readings.iter();
    readings.map(|it| (it.metric, it.value)).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const RATE: Metric = Metric::RequestsPerMinute;
const ERRORS: Metric = Metric::RequestErrorsPermille;
const LATENCY: Metric = Metric::RequestLatencyMs;

#[test]
fn counters_become_rates_of_the_last_minute() {
    let mut sampler = EndpointSampler::new(endpoint());
    let mut take = |at, text: &str| values(&sampler.take(seconds(at), text).unwrap());
    assert_eq!(take(10, &text(1_000, 5, 50.0)), []);
    // 90 good and 10 bad ones in ten seconds, of 2 s in all.
    let next = take(20, &text(1_090, 15, 52.0));
    assert_eq!(next, [(RATE, 600), (ERRORS, 100), (LATENCY, 20)]);
    // None for more than a minute: nothing is known of errors and latency.
    assert_eq!(take(80, &text(1_090, 15, 52.0)), [(RATE, 0)]);
    // Too few for a share.
    let next = take(90, &text(1_092, 16, 55.0));
    assert_eq!(next, [(RATE, 3), (LATENCY, 1_000)]);
}

#[rstest]
#[case::went_back(&text(3, 0, 0.1))]
#[case::started_anew(&format!("{}process_start_time_seconds 2\n", text(2_000, 0, 60.0)))]
fn a_process_that_counts_anew_is_no_rate(#[case] anew: &str) {
    let mut sampler = EndpointSampler::new(endpoint());
    let mut take = |at, text: &str| values(&sampler.take(seconds(at), text).unwrap());
    take(10, &text(1_000, 0, 50.0));
    assert_eq!(take(20, &text(1_100, 0, 51.0)).len(), 3);
    assert_eq!(take(30, anew), []);
    let after = anew
        .replace("} 2000\n", "} 2060\n")
        .replace("} 3\n", "} 63\n");
    assert_eq!(take(40, &after)[0], (RATE, 360));
}

#[test]
fn errors_that_were_never_counted_before_count() {
    let only_good = |count| format!("http_requests_total{{code=\"200\"}} {count}\n");
    let mut sampler = EndpointSampler::new(endpoint());
    let mut take = |at, text: &str| sampler.take(seconds(at), text).unwrap();
    let first = take(10, &only_good(100));
    assert_eq!(first.missing, ["latency"]);
    assert_eq!(
        values(&take(20, &only_good(200))),
        [(RATE, 600), (ERRORS, 0)]
    );
    let bad = "http_requests_total{code=\"500\"} 50\n";
    let next = take(30, &format!("{}{bad}", only_good(250)));
    assert_eq!(values(&next), [(RATE, 600), (ERRORS, 250)]);
}

#[rstest]
#[case::median(500, 56)]
#[case::the_slowest_tenth(950, 550)]
#[case::all(1_000, 1_000)]
fn a_histogram_becomes_a_quantile(#[case] quantile: u32, #[case] milliseconds: u64) {
    let mut sampler = EndpointSampler::new(MetricsEndpoint {
        quantile: Some(quantile),
        ..endpoint()
    });
    sampler.take(seconds(10), &text(0, 0, 0.0)).unwrap();
    // 90 within 0.1 s, 10 within 1 s.
    let sample = sampler.take(seconds(20), &text(90, 10, 8.0)).unwrap();
    assert_eq!(values(&sample).last(), Some(&(LATENCY, milliseconds)));
}

#[test]
fn beyond_the_last_bound_nothing_is_known() {
    let text = |count| {
        format!(
            "http_duration_seconds_bucket{{handler=\"/\",le=\"0.5\"}} 0\n\
             http_duration_seconds_bucket{{handler=\"/\",le=\"+Inf\"}} {count}\n"
        )
    };
    let mut sampler = EndpointSampler::new(MetricsEndpoint {
        quantile: Some(990),
        ..endpoint()
    });
    sampler.take(seconds(10), &text(0)).unwrap();
    let sample = sampler.take(seconds(20), &text(10)).unwrap();
    assert_eq!(values(&sample), [(LATENCY, 500)]);
}

#[test]
fn openmetrics_with_exemplars_and_the_family_s_name() {
    let selector = |text: &str| Some(text.parse().unwrap());
    let mut sampler = EndpointSampler::new(MetricsEndpoint {
        requests: vec!["jobs".parse().unwrap()],
        errors: Vec::new(),
        latency: selector("job_duration_milliseconds"),
        ..endpoint()
    });
    let text = |count| {
        format!(
            "# TYPE jobs counter\n# HELP jobs Done.\njobs_total {count} # {{id=\"7\"}} 1 1.5\n\
             jobs_created 1700000000.0\n# TYPE job_duration_milliseconds summary\n\
             # UNIT job_duration_milliseconds milliseconds\n\
             job_duration_milliseconds{{quantile=\"0.5\"}} NaN\n\
             job_duration_milliseconds_sum {}\njob_duration_milliseconds_count {count}\n# EOF\n",
            count * 250
        )
    };
    assert!(exposition::is_whole(&text(1)));
    assert!(!exposition::is_whole("jobs_total 1\n"));
    assert_eq!(
        sampler.take(seconds(10), &text(1)).unwrap().missing,
        Vec::<&str>::new()
    );
    let sample = sampler.take(seconds(70), &text(31)).unwrap();
    assert_eq!(values(&sample), [(RATE, 30), (LATENCY, 250)]);
}

#[test]
fn too_many_series_are_none() {
    let mut text = String::new();
    for user in 0..=counted::MOST_SERIES {
        text.push_str(&format!("http_requests_total{{user=\"{user}\"}} 1\n"));
    }
    let mut sampler = EndpointSampler::new(endpoint());
    assert_eq!(sampler.take(seconds(1), &text), Err(EndpointError::TooMany));
}

#[rstest]
#[case("x_seconds", 1_000.0)]
#[case("x", 1_000.0)]
#[case("x_ms", 1.0)]
#[case("x_nanoseconds", 1e-6)]
fn units(#[case] name: &str, #[case] milliseconds: f64) {
    assert_eq!(milliseconds_of(name), milliseconds);
}
