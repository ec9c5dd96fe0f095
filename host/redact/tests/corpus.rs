//! How many kinds of secrets are found, and how many ordinary lines suffer from it.
//!
//! The secrets are made up here: each kind is a pattern, filled with characters
//! that a fixed sequence draws. Each stands in several lines as programs log them;
//! it counts as found when none of them shows twelve characters of it in a row.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and the figures are printed"
)]

use std::time::Instant;

use prunella_redact::redact;

/// Of the kinds below, at least this share has to be found.
const RECALL_MIN: f64 = 0.97;

/// Of the ordinary lines, at most this share may lose anything.
const FALSE_ALARMS_MAX: f64 = 0.02;

/// Kinds of secrets that are known by their form, wherever they stand. `{…}` is
/// filled: a number of letters and digits (`a`), small ones (`z`), capitals (`A`),
/// hexadecimal digits (`h`), digits (`d`), base64 (`b`), or those of base64url (`u`).
const TOKENS: &[(&str, &str)] = &[
    ("1password secret key", "A3-{A6}-{A6}-{A5}-{A5}-{A5}-{A5}"),
    ("1password service account", "ops_eyJ{b260}"),
    ("adobe client secret", "p8e-{z32}"),
    ("age secret key", "AGE-SECRET-KEY-1{Q58}"),
    ("airtable personal token", "pat{a14}.{h64}"),
    ("alibaba access key", "LTAI{a20}"),
    ("anthropic api key", "sk-ant-api03-{u93}AA"),
    ("anthropic admin key", "sk-ant-admin01-{u93}AA"),
    ("artifactory api key", "AKCp{a69}"),
    ("artifactory reference token", "cmVmd{a59}"),
    ("atlassian api token", "ATATT3{u186}"),
    ("aws access key", "AKIA{B16}"),
    ("aws session key", "ASIA{B16}"),
    ("aws bedrock key", "ABSK{b120}"),
    ("azure client secret", "{a3}8Q~{u34}"),
    ("beamer api token", "b_{z44}"),
    ("buildkite user token", "bkua_{h40}"),
    ("circleci token", "CCIPAT_{a22}_{h40}"),
    ("clickhouse key", "4b1d{a38}"),
    ("clojars token", "CLOJARS_{z60}"),
    ("cloudflare origin ca", "v1.0-{h24}-{h146}"),
    ("databricks token", "dapi{h32}"),
    ("defined networking token", "dnkey-{z26}-{z52}"),
    ("digitalocean oauth", "doo_v1_{h64}"),
    ("digitalocean token", "dop_v1_{h64}"),
    ("digitalocean refresh", "dor_v1_{h64}"),
    ("discord bot token", "MTA{a21}.{u6}.{u38}"),
    ("docker token", "dckr_pat_{u27}"),
    ("doppler token", "dp.pt.{z43}"),
    ("doppler service token", "dp.st.prd.{z43}"),
    ("dropbox short-lived", "sl.{u135}"),
    ("duffel token", "duffel_live_{u43}"),
    ("dynatrace token", "dt0c01.{A24}.{A64}"),
    ("easypost token", "EZAK{a54}"),
    ("facebook page token", "EAAM{a110}"),
    ("figma token", "figd_{u40}"),
    ("flutterwave secret", "FLWSECK_TEST-{h32}-X"),
    ("fly.io token", "fo1_{u43}"),
    ("frame.io token", "fio-u-{u64}"),
    ("gcp api key", "AIza{u35}"),
    ("github app token", "ghs_{a36}"),
    ("github fine-grained", "github_pat_{a22}_{a59}"),
    ("github oauth", "gho_{a36}"),
    ("github personal token", "ghp_{a36}"),
    ("github refresh token", "ghr_{a36}"),
    ("github user token", "ghu_{a36}"),
    ("gitlab cicd job", "glcbt-1a_{u20}"),
    ("gitlab deploy token", "gldt-{u20}"),
    ("gitlab feature flag", "glffct-{u20}"),
    ("gitlab feed token", "glft-{u20}"),
    ("gitlab incoming mail", "glimt-{u25}"),
    ("gitlab agent token", "glagent-{u50}"),
    ("gitlab oauth secret", "gloas-{u64}"),
    ("gitlab personal token", "glpat-{u20}"),
    ("gitlab pipeline trigger", "glptt-{h40}"),
    ("gitlab runner registration", "GR1348941{u20}"),
    ("gitlab runner token", "glrt-{u20}"),
    ("gitlab scim token", "glsoat-{u20}"),
    ("gocardless token", "live_{u40}"),
    ("google oauth token", "ya29.{u60}"),
    ("google oauth secret", "GOCSPX-{u28}"),
    ("google refresh token", "1//0{u60}"),
    ("grafana api key", "eyJrIjoi{a80}="),
    ("grafana cloud token", "glc_{b60}"),
    ("grafana service account", "glsa_{a32}_{h8}"),
    ("groq key", "gsk_{a52}"),
    ("harness key", "pat.{u22}.{a24}.{a20}"),
    ("hashicorp terraform token", "{a14}.atlasv1.{u64}"),
    ("heroku key", "HRKU-AA{u58}"),
    ("huggingface token", "hf_{l34}"),
    ("huggingface organization", "api_org_{l34}"),
    ("infracost token", "ico-{a32}"),
    ("intra42 secret", "s-s4t2ud-{h64}"),
    ("json web token", "eyJhbGciOiJIUzI1NiJ9.eyJ{a40}.{u43}"),
    ("linear key", "lin_api_{a40}"),
    ("lob key", "live_{h35}"),
    ("mailchimp key", "{h32}-us12"),
    ("mailgun key", "key-{h32}"),
    ("maxmind key", "{a6}_{a29}_mmk"),
    ("neon key", "napi_{z56}"),
    ("netlify token", "nfp_{a36}"),
    ("new relic user key", "NRAK-{A27}"),
    ("new relic insert key", "NRII-{a32}"),
    ("notion token", "ntn_{d11}{a35}"),
    ("npm token", "npm_{a36}"),
    ("octopus key", "API-{A26}"),
    ("openai key", "sk-{a20}T3BlbkFJ{a20}"),
    ("openai project key", "sk-proj-{u74}T3BlbkFJ{u74}"),
    ("openshift token", "sha256~{u43}"),
    ("perplexity key", "pplx-{a48}"),
    ("plaid token", "access-production-{h8}-{h4}-{h4}-{h4}-{h12}"),
    ("planetscale token", "pscale_tkn_{u43}"),
    ("planetscale password", "pscale_pw_{u43}"),
    ("planetscale oauth", "pscale_oauth_{u43}"),
    ("postman key", "PMAK-{h24}-{h34}"),
    ("prefect token", "pnu_{a36}"),
    ("pulumi token", "pul-{h40}"),
    ("pypi token", "pypi-AgEIcHlwaS5vcmc{u70}"),
    ("readme token", "rdme_{z70}"),
    ("replicate token", "r8_{a37}"),
    ("resend key", "re_{a8}_{a24}"),
    ("rubygems token", "rubygems_{h48}"),
    ("scalingo token", "tk-us-{u48}"),
    ("sendgrid token", "SG.{u22}.{u43}"),
    ("sendinblue token", "xkeysib-{h64}-{a16}"),
    ("sentry user token", "sntryu_{h64}"),
    ("settlemint token", "sm_pat_{a16}"),
    ("shippo token", "shippo_live_{h40}"),
    ("shopify access token", "shpat_{h32}"),
    ("shopify custom token", "shpca_{h32}"),
    ("shopify private app", "shppa_{h32}"),
    ("shopify shared secret", "shpss_{h32}"),
    ("slack app token", "xapp-1-A{A10}-{d13}-{h64}"),
    ("slack bot token", "xoxb-{d12}-{d12}-{a24}"),
    ("slack user token", "xoxp-{d12}-{d12}-{d12}-{h32}"),
    ("slack workspace token", "xoxa-2-{a40}"),
    ("slack legacy token", "xoxs-{d10}-{d10}-{d10}-{h10}"),
    ("slack config token", "xoxe.xoxp-1-{A163}"),
    ("sonar token", "squ_{h40}"),
    ("sourcegraph token", "sgp_{h40}"),
    ("square access token", "sq0atp-{u22}"),
    ("square secret", "sq0csp-{u43}"),
    ("stripe secret key", "sk_live_{a24}"),
    ("stripe restricted key", "rk_live_{a24}"),
    ("stripe test key", "sk_test_{a24}"),
    ("stripe webhook secret", "whsec_{a32}"),
    ("supabase token", "sbp_{h40}"),
    ("tailscale key", "tskey-auth-{a12}-{a32}"),
    ("telegram bot token", "{d10}:AA{u33}"),
    ("twilio key", "SK{h32}"),
    ("typeform token", "tfp_{u59}"),
    ("vault service token", "hvs.{u95}"),
    ("vault batch token", "hvb.{u140}"),
    ("xai key", "xai-{a80}"),
    ("yandex api key", "AQVN{u36}"),
    ("yandex aws key", "YC{u38}"),
    ("argon2 hash", "$argon2id$v=19$m=65536,t=3,p=4${b22}${b43}"),
    ("bcrypt hash", "$2b$12${b53}"),
    ("sha-512 crypt", "$6${a16}${b86}"),
    ("visa", "4111 1111 1111 1111"),
    ("mastercard", "5555555555554444"),
    ("amex", "3782-822463-10005"),
];

/// Kinds that what is around them tells; `<…>` is the secret.
const IN_PLACE: &[(&str, &str)] = &[
    (
        "slack webhook",
        "POST https://hooks.slack.com/services/<T{A8}/B{A10}/{a24}> 200",
    ),
    (
        "slack workflow",
        "POST https://hooks.slack.com/workflows/<T{A8}/A{A10}/{d18}/{a24}> 200",
    ),
    (
        "discord webhook",
        "https://discord.com/api/webhooks/<{d18}/{u68}> answered 429",
    ),
    (
        "teams webhook",
        "https://acme.webhook.office.com/webhookb2/<{h8}-{h4}-{h4}-{h4}-{h12}@{h8}-{h4}-{h4}-{h4}-{h12}/IncomingWebhook/{h32}/{h8}-{h4}-{h4}-{h4}-{h12}> failed",
    ),
    (
        "power automate",
        "POST https://prod-12.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?api-version=2016&sig=<{u43}>",
    ),
    (
        "zapier webhook",
        "https://hooks.zapier.com/hooks/catch/<{d7}/{z7}>/",
    ),
    (
        "ifttt webhook",
        "https://maker.ifttt.com/trigger/down/with/key/<{u43}>",
    ),
    (
        "mattermost webhook",
        "POST https://chat.acme.org/hooks/<{z26}>: 500",
    ),
    (
        "rocket.chat webhook",
        "POST https://chat.acme.org/hooks/<{a17}/{a43}>",
    ),
    (
        "pagerduty integration",
        "https://events.pagerduty.com/integration/<{h32}>/enqueue",
    ),
    (
        "webex webhook",
        "https://webexapis.com/v1/webhooks/incoming/<{u70}>",
    ),
    (
        "telegram in a url",
        "GET https://api.telegram.org/bot<{d10}:{u35}>/sendMessage",
    ),
    (
        "healthchecks ping",
        "curl -fsS https://hc-ping.com/<{h8}-{h4}-{h4}-{h4}-{h12}>",
    ),
    ("mysql -p", "running mysql -u root -p<{a12}> shop"),
    (
        "mysqldump -p",
        "sh: mysqldump --all -uroot -p<{a12}> failed",
    ),
    ("mariadb -p", "mariadb-dump -h db -p<{a12}> x"),
    ("curl -u", "curl -s -u admin:<{a12}> http://127.0.0.1:9200"),
    ("curl --user", "curl --user admin:<{a12}> http://127.0.0.1/"),
    ("sshpass", "sshpass -p <{a12}> ssh root@db"),
    ("redis-cli -a", "redis-cli -h cache -a <{a12}> ping"),
    (
        "ldapsearch -w",
        "ldapsearch -D cn=admin -w <{a12}> -b dc=acme",
    ),
    (
        "docker login -p",
        "docker login -u ci -p <{a12}> registry.acme.org",
    ),
    ("mongodump -p", "mongodump --host db -u root -p <{a12}>"),
    (
        "openssl passin",
        "openssl rsa -in k.pem -passin pass:<{a12}>",
    ),
    ("smbclient", "smbclient //nas/share -U backup%<{a12}>"),
    ("mosquitto", "mosquitto_pub -u dev -P <{a12}> -t up"),
    ("htpasswd -b", "htpasswd -b /etc/nginx/users bob <{a12}>"),
    ("rabbitmqctl", "rabbitmqctl add_user app <{a12}>"),
    ("password=", "connecting with password=<{a12}>"),
    ("DB_PASSWORD", "DB_PASSWORD=<{a12}> starting"),
    ("PGPASSWORD", "PGPASSWORD='<{a12}>' psql"),
    ("--token", "agent --token <{a20}> --url x"),
    ("json password", "{\"user\":\"a\",\"password\":\"<{a12}>\"}"),
    ("yaml secret", "clientSecret: <{a20}>"),
    ("authorization bearer", "Authorization: Bearer <{u40}>"),
    ("authorization basic", "authorization: Basic <{b24}>"),
    ("cookie", "Cookie: session=<{a32}>"),
    ("x-api-key", "X-Api-Key: <{a32}>"),
    ("url password", "postgres://app:<{a12}>@db:5432/shop"),
    ("redis url", "redis://:<{a12}>@cache:6379/0"),
    ("amqp url", "amqp://guest:<{a12}>@mq/"),
    (
        "token in a query",
        "GET /feed?access_token=<{a20}>&page=2 200",
    ),
    (
        "connection string",
        "Server=db;User Id=sa;Password=<{a12}>;Timeout=3",
    ),
    (
        "azure account key",
        "AccountKey=<{b86}>==;EndpointSuffix=core",
    ),
    ("aws secret", "aws_secret_access_key = <{b40}>"),
    ("identified by", "ALTER USER a IDENTIFIED BY '<{a12}>'"),
    ("requirepass", "requirepass <{a12}>"),
    ("wireguard key", "PrivateKey = <{b43}>="),
    (
        "private key",
        "-----BEGIN EC PRIVATE KEY-----\n<{b64}>\n-----END EC PRIVATE KEY-----",
    ),
    ("datadog key", "datadog_app = '<{z40}>'"),
    ("discord in settings", "discord_webhook_auth: \"<{h64}>\""),
    ("algolia key", "ALGOLIA_ADMIN=<{h32}>"),
    ("twitch", "twitch.oauth=<{z30}>"),
    ("sentry", "sentry.auth => \"<{h64}>\""),
    ("fastly", "FASTLY=<{a32}>"),
    ("sendbird", "sendbird app = <{h40}>"),
    ("confluent", "confluent.cloud=<{a64}>"),
    ("okta", "okta_token: 00<{u40}>"),
    ("netlify in settings", "NETLIFY_AUTH=<{a43}>"),
    ("cloudflare", "cloudflare.global = <{h37}>"),
];

/// Lines that a token may stand in.
const LINES: [&str; 5] = [
    "{}",
    "error: request with {} was refused (401)",
    "{\"level\":\"info\",\"value\":\"{}\",\"n\":3}",
    "Nov 29 08:00:01 web shop[812]: using '{}'",
    "env: X={} Y=2",
];

/// What programs log all day, and what has to stay readable.
const ORDINARY: &str = include_str!("ordinary.txt");

/// The same characters each time.
struct Drawn(u64);

impl Drawn {
    fn next(&mut self, below: usize) -> usize {
        // Knuth's MMIX.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn of(&mut self, class: char, count: usize) -> String {
        let alphabet: &str = match class {
            'a' => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            'A' => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
            'B' => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            'Q' => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
            'z' => "abcdefghijklmnopqrstuvwxyz0123456789",
            'l' => "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            'h' => "0123456789abcdef",
            'd' => "123456789",
            'b' => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            'u' => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
            other => panic!("no class {other}"),
        };
        let alphabet: Vec<char> = alphabet.chars().collect();
        // The ends are letters or digits, as tokens have it.
        let mut text: String = (0..count)
            .map(|_| alphabet[self.next(alphabet.len())])
            .collect();
        if text.ends_with(['_', '-']) {
            text.pop();
            text.push('x');
        }
        text
    }

    fn fill(&mut self, pattern: &str) -> String {
        let mut filled = String::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let place = after.split_once('}').and_then(|(inside, tail)| {
                let class = inside.chars().next()?;
                let count: usize = inside.get(1..)?.parse().ok()?;
                Some((class, count, tail))
            });
            match place {
                Some((class, count, tail)) => {
                    filled.push_str(&self.of(class, count));
                    rest = tail;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled.push_str(rest);
        filled
    }
}

/// Each kind with its lines: name, line, what must not be seen of it.
fn secrets() -> Vec<(&'static str, Vec<(String, String)>)> {
    let mut drawn = Drawn(2026);
    let mut kinds = Vec::new();
    for (name, pattern) in TOKENS {
        let lines = LINES
            .iter()
            .map(|line| {
                let secret = drawn.fill(pattern);
                (line.replacen("{}", &secret, 1), secret)
            })
            .collect();
        kinds.push((*name, lines));
    }
    for (name, pattern) in IN_PLACE {
        let lines = (0..5)
            .map(|_| {
                let filled = drawn.fill(pattern);
                let (before, rest) = filled.split_once('<').unwrap();
                let (secret, after) = rest.split_once('>').unwrap();
                (format!("{before}{secret}{after}"), secret.to_owned())
            })
            .collect();
        kinds.push((*name, lines));
    }
    kinds
}

/// Whether a line shows a secret, or so much of it in a row that the rest could be
/// guessed.
fn shows(line: &str, secret: &str) -> bool {
    let part = secret.len().min(12);
    (0..=secret.len() - part).any(|at| line.contains(&secret[at..at + part]))
}

#[test]
fn well_known_secrets_are_found_and_ordinary_lines_stay() {
    let kinds = secrets();
    assert!(kinds.len() >= 150, "{} kinds", kinds.len());
    let mut missed = Vec::new();
    for (name, lines) in &kinds {
        if let Some((line, _)) = lines
            .iter()
            .find(|(line, secret)| shows(&redact(line), secret))
        {
            missed.push(format!("{name}: {}", redact(line)));
        }
    }
    let ordinary: Vec<&str> = ORDINARY.lines().filter(|line| !line.is_empty()).collect();
    assert!(ordinary.len() >= 200, "{} ordinary lines", ordinary.len());
    let alarms: Vec<String> = ordinary
        .iter()
        .map(|line| (line, redact(line)))
        .filter(|(line, shown)| *line != shown)
        .map(|(_, shown)| shown)
        .collect();
    let share = |part: usize, all: usize| {
        f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(all).unwrap())
    };
    let recall = 1.0 - share(missed.len(), kinds.len());
    let false_alarms = share(alarms.len(), ordinary.len());
    println!(
        "{} kinds of secrets, {:.1} % found; {} ordinary lines, {:.1} % lost something",
        kinds.len(),
        recall * 100.0,
        ordinary.len(),
        false_alarms * 100.0
    );
    for line in &missed {
        println!("missed: {line}");
    }
    for line in &alarms {
        println!("alarm: {line}");
    }
    assert!(recall >= RECALL_MIN, "{missed:#?}");
    assert!(false_alarms <= FALSE_ALARMS_MAX, "{alarms:#?}");
}

#[test]
fn ordinary_lines_cost_little() {
    // The rules' keywords are compiled once, and not for this.
    redact("warm up");
    let began = Instant::now();
    let mut lines: u32 = 0;
    while lines < 5_000 {
        for line in ORDINARY.lines() {
            std::hint::black_box(redact(line));
            lines += 1;
        }
    }
    let each = began.elapsed() / lines;
    println!("{each:?} for each ordinary line");
    // A debug build on a busy machine is some fifty times slower than a release.
    assert!(each.as_micros() < 2_000, "{each:?}");
}
