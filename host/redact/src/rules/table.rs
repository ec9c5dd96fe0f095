//! The rules, as data.
//!
//! Those in [`TOKENS`] and [`NAMED`] are curated from the default configuration of
//! gitleaks (<https://github.com/gitleaks/gitleaks>, `config/gitleaks.toml`, version
//! of November 2026) and keep its ids, so that both can be compared. gitleaks is
//! Copyright (c) 2019 Zachary Rice, under the MIT licence, whose text is in
//! `LICENSE-gitleaks` beside this crate's manifest. Left out are its rules for what is public by design (client
//! ids, publishable keys), for whole files, and for what keys and headers announce
//! anyway. Those in [`FURTHER`] are our own: addresses that are secrets, secrets in
//! commands, and tokens that gitleaks knows only beside the name of a service.

use super::{At, Rule};

macro_rules! rules {
    ($(#[$doc:meta])* $name:ident, $at:expr; $($id:literal [$($keyword:literal)+] $expression:literal)+) => {
        $(#[$doc])*
        pub(super) static $name: &[Rule] = &[$(Rule {
            id: $id,
            at: $at,
            keywords: &[$($keyword),+],
            expression: $expression,
        }),+];
    };
}

rules! {
    /// Tokens that are known by how they begin.
    TOKENS, At::Begin;
    "1password-secret-key" ["A3-"] r"A3-[A-Z0-9]{6}-(?:(?:[A-Z0-9]{11})|(?:[A-Z0-9]{6}-[A-Z0-9]{5}))-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}"
    "1password-service-account-token" ["ops_"] r"ops_eyJ[a-zA-Z0-9+/]{250,}={0,3}"
    "adobe-client-secret" ["p8e-"] r"p8e-(?i)[a-z0-9]{32}"
    "age-secret-key" ["AGE-SECRET-KEY-1"] r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"
    "alibaba-access-key-id" ["LTAI"] r"LTAI(?i)[a-z0-9]{20}"
    "anthropic-admin-api-key" ["sk-ant-admin01"] r"sk-ant-admin01-[a-zA-Z0-9_-]{93}AA"
    "anthropic-api-key" ["sk-ant-api03"] r"sk-ant-api03-[a-zA-Z0-9_-]{93}AA"
    "artifactory-api-key" ["AKCp"] r"AKCp[A-Za-z0-9]{69}"
    "artifactory-reference-token" ["cmVmd"] r"cmVmd[A-Za-z0-9]{59}"
    "aws-access-token" ["A3T" "AKIA" "ASIA" "ABIA" "ACCA"] r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"
    "aws-amazon-bedrock-api-key-long-lived" ["ABSK"] r"ABSK[A-Za-z0-9+/]{109,269}={0,2}"
    "clickhouse-cloud-api-secret-key" ["4b1d"] r"4b1d[A-Za-z0-9]{38}"
    "clojars-api-token" ["CLOJARS_"] r"(?i)CLOJARS_[a-z0-9]{60}"
    "cloudflare-origin-ca-key" ["v1.0-"] r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"
    "databricks-api-token" ["dapi"] r"dapi[a-f0-9]{32}(?:-\d)?"
    "digitalocean-access-token" ["doo_v1_"] r"doo_v1_[a-f0-9]{64}"
    "digitalocean-pat" ["dop_v1_"] r"dop_v1_[a-f0-9]{64}"
    "digitalocean-refresh-token" ["dor_v1_"] r"(?i)dor_v1_[a-f0-9]{64}"
    "doppler-api-token" ["dp.pt."] r"dp\.pt\.(?i)[a-z0-9]{43}"
    "dynatrace-api-token" ["dt0c01."] r"dt0c01\.(?i)[a-z0-9]{24}\.[a-z0-9]{64}"
    "easypost-api-token" ["EZAK"] r"EZAK(?i)[a-z0-9]{54}"
    "facebook-page-access-token" ["EAAM" "EAAC"] r"EAA[MC](?i)[a-z0-9]{100,}"
    "flutterwave-encryption-key" ["FLWSECK_TEST"] r"FLWSECK_TEST-(?i)[a-h0-9]{12}"
    "flutterwave-secret-key" ["FLWSECK_TEST"] r"FLWSECK_TEST-(?i)[a-h0-9]{32}-X"
    "flyio-access-token" ["fo1_" "fm1" "fm2_"] r"(?:fo1_[\w-]{43}|fm1[ar]_[a-zA-Z0-9+/]{100,}={0,3}|fm2_[a-zA-Z0-9+/]{100,}={0,3})"
    "frameio-api-token" ["fio-u-"] r"fio-u-(?i)[a-z0-9_=-]{64}"
    "gcp-api-key" ["AIza"] r"AIza[\w-]{35}"
    "github-app-token" ["ghu_" "ghs_"] r"(?:ghu|ghs)_[0-9a-zA-Z]{36}"
    "github-fine-grained-pat" ["github_pat_"] r"github_pat_\w{82}"
    "github-oauth" ["gho_"] r"gho_[0-9a-zA-Z]{36}"
    "github-pat" ["ghp_"] r"ghp_[0-9a-zA-Z]{36}"
    "github-refresh-token" ["ghr_"] r"ghr_[0-9a-zA-Z]{36}"
    "gitlab-cicd-job-token" ["glcbt-"] r"glcbt-[0-9a-zA-Z]{1,5}_[0-9a-zA-Z_-]{20}"
    "gitlab-deploy-token" ["gldt-"] r"gldt-[0-9a-zA-Z_-]{20}"
    "gitlab-feature-flag-client-token" ["glffct-"] r"glffct-[0-9a-zA-Z_-]{20}"
    "gitlab-feed-token" ["glft-"] r"glft-[0-9a-zA-Z_-]{20}"
    "gitlab-incoming-mail-token" ["glimt-"] r"glimt-[0-9a-zA-Z_-]{25}"
    "gitlab-kubernetes-agent-token" ["glagent-"] r"glagent-[0-9a-zA-Z_-]{50}"
    "gitlab-oauth-app-secret" ["gloas-"] r"gloas-[0-9a-zA-Z_-]{64}"
    "gitlab-pat" ["glpat-"] r"glpat-[\w-]{20}"
    "gitlab-ptt" ["glptt-"] r"glptt-[0-9a-f]{40}"
    "gitlab-rrt" ["GR1348941"] r"GR1348941[\w-]{20}"
    "gitlab-runner-authentication-token" ["glrt-"] r"glrt-[0-9a-zA-Z_-]{20}"
    "gitlab-scim-token" ["glsoat-"] r"glsoat-[0-9a-zA-Z_-]{20}"
    "grafana-api-key" ["eyJrIjoi"] r"(?i)eyJrIjoi[A-Za-z0-9]{70,400}={0,3}"
    "grafana-cloud-api-token" ["glc_"] r"(?i)glc_[A-Za-z0-9+/]{32,400}={0,3}"
    "grafana-service-account-token" ["glsa_"] r"(?i)glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"
    "heroku-api-key-v2" ["HRKU-AA"] r"HRKU-AA[0-9a-zA-Z_-]{58}"
    "huggingface-access-token" ["hf_"] r"hf_(?i:[a-z]{34})"
    "huggingface-organization-api-token" ["api_org_"] r"api_org_(?i:[a-z]{34})"
    "infracost-api-token" ["ico-"] r"ico-[a-zA-Z0-9]{32}"
    "intra42-client-secret" ["s-s4t2ud-" "s-s4t2af-"] r"s-s4t2(?:ud|af)-(?i)[abcdef0123456789]{64}"
    "linear-api-key" ["lin_api_"] r"lin_api_(?i)[a-z0-9]{40}"
    "notion-api-token" ["ntn_"] r"ntn_[0-9]{11}[A-Za-z0-9]{32}[A-Za-z0-9]{3}"
    "npm-access-token" ["npm_"] r"(?i)npm_[a-z0-9]{36}"
    "octopus-deploy-api-key" ["API-"] r"API-[A-Z0-9]{26}"
    "planetscale-api-token" ["pscale_tkn_"] r"pscale_tkn_(?i)[\w=.-]{32,64}"
    "planetscale-oauth-token" ["pscale_oauth_"] r"pscale_oauth_[\w=.-]{32,64}"
    "planetscale-password" ["pscale_pw_"] r"(?i)pscale_pw_(?i)[\w=.-]{32,64}"
    "postman-api-token" ["PMAK-"] r"PMAK-(?i)[a-f0-9]{24}-[a-f0-9]{34}"
    "prefect-api-token" ["pnu_"] r"pnu_[a-zA-Z0-9]{36}"
    "pulumi-api-token" ["pul-"] r"pul-[a-f0-9]{40}"
    "pypi-upload-token" ["pypi-AgEIcHlwaS5vcmc"] r"pypi-AgEIcHlwaS5vcmc[\w-]{50,1000}"
    "readme-api-token" ["rdme_"] r"rdme_[a-z0-9]{70}"
    "rubygems-api-token" ["rubygems_"] r"rubygems_[a-f0-9]{48}"
    "scalingo-api-token" ["tk-us-"] r"tk-us-[\w-]{48}"
    "sendgrid-api-token" ["SG."] r"SG\.(?i)[a-z0-9=_.-]{66}"
    "sendinblue-api-token" ["xkeysib-"] r"xkeysib-[a-f0-9]{64}-(?i)[a-z0-9]{16}"
    "sentry-org-token" ["sntrys_eyJpYXQiO"] r"sntrys_eyJpYXQiO[a-zA-Z0-9+/]{10,200}(?:LCJyZWdpb25fdXJs|InJlZ2lvbl91cmwi|cmVnaW9uX3VybCI6)[a-zA-Z0-9+/]{10,200}={0,2}_[a-zA-Z0-9+/]{43}"
    "sentry-user-token" ["sntryu_"] r"sntryu_[a-f0-9]{64}"
    "settlemint-application-access-token" ["sm_aat"] r"sm_aat_[a-zA-Z0-9]{16}"
    "settlemint-personal-access-token" ["sm_pat"] r"sm_pat_[a-zA-Z0-9]{16}"
    "settlemint-service-access-token" ["sm_sat"] r"sm_sat_[a-zA-Z0-9]{16}"
    "shippo-api-token" ["shippo_"] r"shippo_(?:live|test)_[a-fA-F0-9]{40}"
    "shopify-access-token" ["shpat_"] r"shpat_[a-fA-F0-9]{32}"
    "shopify-custom-access-token" ["shpca_"] r"shpca_[a-fA-F0-9]{32}"
    "shopify-private-app-access-token" ["shppa_"] r"shppa_[a-fA-F0-9]{32}"
    "shopify-shared-secret" ["shpss_"] r"shpss_[a-fA-F0-9]{32}"
    "slack-app-token" ["xapp"] r"(?i)xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]+"
    "slack-bot-token" ["xoxb"] r"xoxb-[0-9]{10,13}-[0-9]{10,13}[a-zA-Z0-9-]*"
    "slack-config-refresh-token" ["xoxe-"] r"(?i)xoxe-\d-[A-Z0-9]{146}"
    "slack-legacy-bot-token" ["xoxb"] r"xoxb-[0-9]{8,14}-[a-zA-Z0-9]{12,26}"
    "slack-legacy-workspace-token" ["xoxa" "xoxr"] r"xox[ar]-(?:\d-)?[0-9a-zA-Z]{8,48}"
    "slack-user-token" ["xoxp-" "xoxe-"] r"xox[pe](?:-[0-9]{10,13}){3}-[a-zA-Z0-9-]{28,34}"
    "square-access-token" ["EAAA" "sq0atp-"] r"(?:EAAA|sq0atp-)[\w-]{22,60}"
    "stripe-access-token" ["sk_test" "sk_live" "sk_prod" "rk_test" "rk_live" "rk_prod"] r"(?:sk|rk)_(?:test|live|prod)_[a-zA-Z0-9]{10,99}"
    "twilio-api-key" ["SK"] r"SK[0-9a-fA-F]{32}"
}

rules! {
    /// Values that are known by the service that a key before them names: keyword,
    /// then the form of the value.
    NAMED, At::Named;
    "adafruit-api-key" ["adafruit"] r"[a-z0-9_-]{32}"
    "airtable-api-key" ["airtable"] r"[a-z0-9]{17}"
    "algolia-api-key" ["algolia"] r"[a-z0-9]{32}"
    "alibaba-secret-key" ["alibaba"] r"[a-z0-9]{30}"
    "asana-client-secret" ["asana"] r"[a-z0-9]{32}"
    "bitbucket-client-secret" ["bitbucket"] r"[a-z0-9=_-]{64}"
    "bittrex-access-key" ["bittrex"] r"[a-z0-9]{32}"
    "cisco-meraki-api-key" ["meraki"] r"[0-9a-f]{40}"
    "cloudflare-api-key" ["cloudflare"] r"[a-z0-9_-]{40}"
    "cloudflare-global-api-key" ["cloudflare"] r"[a-f0-9]{37}"
    "codecov-access-token" ["codecov"] r"[a-z0-9]{32}"
    "cohere-api-token" ["cohere" "co_api_key"] r"[a-zA-Z0-9]{40}"
    "coinbase-access-token" ["coinbase"] r"[a-z0-9_-]{64}"
    "confluent-secret-key" ["confluent"] r"[a-z0-9]{64}"
    "contentful-delivery-api-token" ["contentful"] r"[a-z0-9=_-]{43}"
    "datadog-access-token" ["datadog"] r"[a-z0-9]{40}"
    "discord-api-token" ["discord"] r"[a-f0-9]{64}"
    "discord-client-secret" ["discord"] r"[a-z0-9=_-]{32}"
    "droneci-access-token" ["droneci"] r"[a-z0-9]{32}"
    "dropbox-long-lived-api-token" ["dropbox"] r"[a-z0-9]{11}A{10}[a-z0-9_=-]{43}"
    "etsy-access-token" ["etsy"] r"[a-z0-9]{24}"
    "facebook-secret" ["facebook"] r"[a-f0-9]{32}"
    "fastly-api-token" ["fastly"] r"[a-z0-9=_-]{32}"
    "finicity-api-token" ["finicity"] r"[a-f0-9]{32}"
    "finicity-client-secret" ["finicity"] r"[a-z0-9]{20}"
    "finnhub-access-token" ["finnhub"] r"[a-z0-9]{20}"
    "flickr-access-token" ["flickr"] r"[a-z0-9]{32}"
    "freshbooks-access-token" ["freshbooks"] r"[a-z0-9]{64}"
    "gitter-access-token" ["gitter"] r"[a-z0-9_-]{40}"
    "intercom-api-key" ["intercom"] r"[a-z0-9=_-]{60}"
    "jfrog-api-key" ["jfrog" "artifactory" "bintray" "xray"] r"[a-z0-9]{73}"
    "jfrog-identity-token" ["jfrog" "artifactory" "bintray" "xray"] r"[a-z0-9]{64}"
    "kraken-access-token" ["kraken"] r"[a-z0-9/=_+-]{80,90}"
    "kucoin-access-token" ["kucoin"] r"[a-f0-9]{24}"
    "launchdarkly-access-token" ["launchdarkly"] r"[a-z0-9=_-]{40}"
    "linear-client-secret" ["linear"] r"[a-f0-9]{32}"
    "looker-client-secret" ["looker"] r"[a-z0-9]{24}"
    "mailgun-signing-key" ["mailgun"] r"[a-h0-9]{32}-[a-h0-9]{8}-[a-h0-9]{8}"
    "mattermost-access-token" ["mattermost"] r"[a-z0-9]{26}"
    "messagebird-api-token" ["messagebird" "message-bird" "message_bird"] r"[a-z0-9]{25}"
    "netlify-access-token" ["netlify"] r"[a-z0-9=_-]{40,46}"
    "plaid-secret-key" ["plaid"] r"[a-z0-9]{30}"
    "privateai-api-token" ["privateai" "private_ai" "private-ai"] r"[a-z0-9]{32}"
    "rapidapi-access-token" ["rapidapi"] r"[a-z0-9_-]{50}"
    "sendbird-access-token" ["sendbird"] r"[a-f0-9]{40}"
    "sentry-access-token" ["sentry"] r"[a-f0-9]{64}"
    "sumologic-access-token" ["sumo"] r"[a-z0-9]{64}"
    "travisci-access-token" ["travis"] r"[a-z0-9]{22}"
    "twitch-api-token" ["twitch"] r"[a-z0-9]{30}"
    "twitter-access-secret" ["twitter"] r"[a-z0-9]{45}"
    "twitter-access-token" ["twitter"] r"[0-9]{15,25}-[a-zA-Z0-9]{20,40}"
    "twitter-api-key" ["twitter"] r"[a-z0-9]{25}"
    "twitter-api-secret" ["twitter"] r"[a-z0-9]{50}"
    "zendesk-secret-key" ["zendesk"] r"[a-z0-9]{40}"
}

rules! {
    /// Tokens whose keyword stands in their middle or at their end.
    INSIDE, At::Inside;
    "azure-ad-client-secret" ["Q~"] r"[a-zA-Z0-9_~.]{3}\dQ~[a-zA-Z0-9_~.-]{31,34}"
    "hashicorp-tf-api-token" [".atlasv1."] r"[a-zA-Z0-9]{14}\.atlasv1\.[a-zA-Z0-9_=-]{60,70}"
    "maxmind-license-key" ["_mmk"] r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"
    "mailchimp-api-key" ["-us"] r"[a-f0-9]{32}-us\d{1,2}"
    "telegram-bot-api-token" [":AA"] r"[0-9]{5,16}:AA[A-Za-z0-9_-]{32,33}"
}

rules! {
    FURTHER, At::Begin;
    // Shorter than the issuers' own, or in forms that gitleaks ties to a name.
    "age-secret-key-cut" ["AGE-SECRET-KEY-1"] r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"
    "airtable-personal-access-token" ["pat"] r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"
    "anthropic-key" ["sk-ant-"] r"sk-ant-[A-Za-z0-9_-]{20,}"
    "atlassian-api-token" ["ATATT3" "ATCTT3" "ATBB"] r"AT(?:ATT3|CTT3|BB)[A-Za-z0-9_=-]{20,}"
    "beamer-api-token" ["b_"] r"b_[a-z0-9=_-]{44}"
    "bedrock-short-lived" ["bedrock-api-key-"] r"bedrock-api-key-[A-Za-z0-9+/=]{40,}"
    "buildkite-token" ["bkua_" "bkpt_" "bkct_"] r"bk(?:ua|pt|ct)_[a-f0-9]{40}"
    "circleci-token" ["CCIPAT_" "CCIPRJ_"] r"CCIP(?:AT|RJ)_[A-Za-z0-9_]{20,}"
    "defined-networking-api-token" ["dnkey-"] r"dnkey-[a-z0-9=_-]{26}-[a-z0-9=_-]{52}"
    "digitalocean-spaces" ["DO00"] r"DO00[A-Z0-9]{16}"
    "discord-bot-token" ["MT" "MD" "Mj" "Mz" "ND" "NT" "Nj" "Nz" "OD" "OT"] r"[MNO][A-Za-z\d_-]{22,27}\.[\w-]{6}\.[\w-]{27,38}"
    "docker-token" ["dckr_pat_" "dckr_oat_"] r"dckr_[po]at_[A-Za-z0-9_-]{20,}"
    "doppler-token" ["dp."] r"dp\.(?:st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,}"
    "dropbox-short-lived-api-token" ["sl."] r"sl\.[A-Za-z0-9_=.-]{100,}"
    "duffel-api-token" ["duffel_"] r"duffel_(?:test|live)_[A-Za-z0-9_=-]{43}"
    "easypost-test-api-token" ["EZTK"] r"EZTK[A-Za-z0-9]{54}"
    "figma-token" ["figd_"] r"figd_[A-Za-z0-9_-]{20,}"
    "github-token-cut" ["ghp_" "gho_" "ghu_" "ghs_" "ghr_"] r"gh[pousr]_[A-Za-z0-9]{20,}"
    "gitlab-token-routable" ["glpat-" "glrt-"] r"gl(?:pat|rt)-[0-9a-zA-Z_.-]{16,}"
    "gocardless-api-token" ["live_"] r"live_[A-Za-z0-9_=-]{40}"
    "google-oauth-token" ["ya29."] r"ya29\.[A-Za-z0-9_.-]{20,}"
    "google-oauth-secret" ["GOCSPX-"] r"GOCSPX-[A-Za-z0-9_-]{20,}"
    "google-refresh-token" ["1//0"] r"1//0[A-Za-z0-9_-]{30,}"
    "groq-api-key" ["gsk_"] r"gsk_[A-Za-z0-9]{40,}"
    "harness-api-key" ["pat." "sat."] r"[ps]at\.[a-zA-Z0-9_-]{22}\.[a-zA-Z0-9]{24}\.[a-zA-Z0-9]{20}"
    "infisical-token" ["st."] r"st\.[a-f0-9]{24}\.[a-f0-9]{32}\.[a-f0-9]{32}"
    "jwt" ["eyJ"] r"eyJ[a-zA-Z0-9_-]{5,}\.[a-zA-Z0-9/_-]{8,}\.[a-zA-Z0-9/_.-]*={0,2}"
    "lob-api-key" ["live_" "test_"] r"(?:live|test)_[a-f0-9]{35}"
    "mailgun-key" ["key-"] r"key-[a-f0-9]{32}"
    "neon-api-key" ["napi_"] r"napi_[a-z0-9]{40,}"
    "netlify-token" ["nfp_"] r"nfp_[A-Za-z0-9]{36,}"
    "new-relic-key" ["NRAK-" "NRII-" "NRJS-" "NRAL-"] r"NR(?:AK|II|JS|AL)-[A-Za-z0-9-]{19,}"
    "npm-token-cut" ["npm_"] r"npm_[A-Za-z0-9]{30,}"
    "openai-api-key" ["sk-"] r"sk-[A-Za-z0-9_-]{20,}"
    "openshift-user-token" ["sha256~"] r"sha256~[\w-]{43}"
    "perplexity-api-key" ["pplx-"] r"pplx-[a-zA-Z0-9]{48}"
    "plaid-api-token" ["access-"] r"access-(?:sandbox|development|production)-[0-9a-f-]{36}"
    "pypi-token-cut" ["pypi-"] r"pypi-[A-Za-z0-9_-]{20,}"
    "replicate-api-token" ["r8_"] r"r8_[A-Za-z0-9]{37}"
    "resend-api-key" ["re_"] r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}"
    "sendgrid-token-cut" ["SG."] r"SG\.[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)?"
    "slack-config-access-token" ["xoxe.xox"] r"xoxe\.xox[bp]-\d-[A-Za-z0-9]{100,}"
    "slack-token-cut" ["xox"] r"xox[a-z]-[A-Za-z0-9-]{16,}"
    "slack-app-token-cut" ["xapp-"] r"xapp-[A-Za-z0-9-]{16,}"
    "sonar-api-token" ["squ_" "sqp_" "sqa_"] r"sq[upa]_[a-z0-9]{40}"
    "sourcegraph-access-token" ["sgp_"] r"sgp_(?:[a-zA-Z0-9]+_)?[a-fA-F0-9]{40}"
    "square-secret" ["sq0csp-"] r"sq0csp-[\w-]{43}"
    "stripe-webhook-secret" ["whsec_"] r"whsec_[A-Za-z0-9+/=]{16,}"
    "supabase-token" ["sbp_" "sb_secret_"] r"sb(?:p|_secret)_[A-Za-z0-9_-]{20,}"
    "tailscale-key" ["tskey-"] r"tskey-[a-z]+-[A-Za-z0-9-]{20,}"
    "typeform-api-token" ["tfp_"] r"tfp_[A-Za-z0-9_.=-]{40,}"
    "vault-token" ["hvs." "hvb." "hvr."] r"hv[sbr]\.[\w-]{20,}"
    "xai-api-key" ["xai-"] r"xai-[A-Za-z0-9]{60,}"
    "yandex-key" ["AQVN" "YC" "t1."] r"(?:AQVN[\w-]{35,38}|YC[\w-]{38}|t1\.[\w-]+={0,2}\.[\w-]{86}={0,2})"
    "password-hash" ["$1$" "$5$" "$6$" "$y$" "$7$" "$2a$" "$2b$" "$2y$" "$argon2"] r"\$(?:1|5|6|7|y|2[aby]|argon2(?:id|i|d))\$[A-Za-z0-9./$=,+]{20,}"
    // Addresses whose path is the secret: whoever knows it may write there.
    "slack-webhook-url" ["hooks.slack.com/"] r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/_-]{20,})"
    "slack-webhook-url-government" ["hooks.slack-gov.com/"] r"hooks\.slack-gov\.com/[a-z]+/([A-Za-z0-9+/_-]{20,})"
    "discord-webhook-url" ["/api/webhooks/"] r"/api/webhooks/([0-9]+/[A-Za-z0-9_-]{20,})"
    "microsoft-teams-webhook" ["/webhookb2/"] r"/webhookb2/([A-Za-z0-9@/-]{30,})"
    "signed-url" ["sig=" "signature="] r"(?:sig|signature|Signature)=([A-Za-z0-9%+/_-]{20,}={0,2})"
    "zapier-webhook-url" ["hooks.zapier.com/"] r"hooks\.zapier\.com/hooks/catch/([A-Za-z0-9/]{6,})"
    "ifttt-webhook-url" ["/with/key/"] r"/with/key/([A-Za-z0-9_-]{16,})"
    "incoming-webhook-url" ["/hooks/"] r"/hooks/([A-Za-z0-9_-]{17,}(?:/[A-Za-z0-9_-]{16,})?)"
    "pagerduty-integration-url" ["/integration/"] r"/integration/([0-9a-f]{32})"
    "webex-webhook-url" ["/webhooks/incoming/"] r"/webhooks/incoming/([A-Za-z0-9_-]{20,})"
    "telegram-bot-url" ["api.telegram.org/bot"] r"api\.telegram\.org/bot([0-9]+:[A-Za-z0-9_-]{20,})"
    "healthchecks-ping-url" ["hc-ping.com/"] r"hc-ping\.com/([A-Za-z0-9-]{20,})"
    // Secrets that a command is given.
    "mysql-password" ["mysql" "mariadb"] r#"(?:mysql|mariadb)[a-z-]*\s(?:[^\n|;&]{0,200}?\s)?-p('[^']+'|"[^"]+"|[^\s'"]{2,})"#
    "curl-auth-user" ["curl" "wget" "http "] r#"(?:curl|wget|http)\s(?:[^\n|;&]{0,300}?\s)?(?:-u|--user|-U|--proxy-user|-a)[= ]?['"]?[^\s:'"]+:([^\s'"]+)"#
    "sshpass-password" ["sshpass"] r#"sshpass\s+-p\s*('[^']+'|"[^"]+"|[^\s'"]+)"#
    "redis-password" ["redis-cli"] r#"redis-cli\s(?:[^\n|;&]{0,200}?\s)?(?:-a|--pass)[= ]\s*('[^']+'|"[^"]+"|[^\s'"]+)"#
    "ldap-password" ["ldap"] r#"ldap(?:search|modify|add|delete|passwd|whoami|compare|modrdn)\s(?:[^\n|;&]{0,300}?\s)?-w\s*('[^']+'|"[^"]+"|[^\s'"]+)"#
    "docker-password" ["docker login" "podman login" "helm registry login"] r#"(?:docker|podman|helm registry) login\s(?:[^\n|;&]{0,200}?\s)?(?:-p|--password)[= ]?\s*('[^']+'|"[^"]+"|[^\s'"]+)"#
    "mongo-password" ["mongo"] r#"mongo[a-z]*\s(?:[^\n|;&]{0,200}?\s)?-p\s*('[^']+'|"[^"]+"|[^\s'"]+)"#
    "openssl-password" ["-pass"] r#"-pass(?:in|out)?\s+['"]?pass:([^\s'"]+)"#
    "samba-password" ["smbclient" "mount.cifs" "rpcclient"] r#"(?:smbclient|mount\.cifs|rpcclient)\s(?:[^\n|;&]{0,200}?\s)?-U\s*[^\s%]+%([^\s'"]+)"#
    "mosquitto-password" ["mosquitto_"] r#"mosquitto_(?:pub|sub|rr)\s(?:[^\n|;&]{0,200}?\s)?(?:-P|--pw)\s+('[^']+'|"[^"]+"|[^\s'"]+)"#
    "htpasswd-password" ["htpasswd"] r#"htpasswd\s+-[a-zA-Z]*b[a-zA-Z]*\s+\S+\s+\S+\s+([^\s'"]+)"#
    "rabbitmq-password" ["rabbitmqctl"] r#"rabbitmqctl\s+(?:add_user|change_password)\s+\S+\s+([^\s'"]+)"#
    "archive-password" ["7z " "7za "] r#"7za?\s(?:[^\n|;&]{0,200}?\s)?-p([^\s'"]{3,})"#
    "rdp-password" ["xfreerdp"] r#"xfreerdp\s(?:[^\n|;&]{0,200}?\s)?/p:([^\s'"]+)"#
    "sqlcmd-password" ["sqlcmd"] r#"sqlcmd\s(?:[^\n|;&]{0,200}?\s)?-P\s*([^\s'"]+)"#
    "snmp-community" ["snmpwalk" "snmpget"] r#"snmp(?:walk|get)\s(?:[^\n|;&]{0,200}?\s)?-c\s*([^\s'"]+)"#
    "ipmi-password" ["ipmitool"] r#"ipmitool\s(?:[^\n|;&]{0,200}?\s)?-P\s*([^\s'"]+)"#
}
