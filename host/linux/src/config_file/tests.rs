use prunella_core::remedy::ConfigFormat::{self, Env, Ini, Json, Toml, Yaml};
use rstest::rstest;

use super::*;

/// The content with `to` for `key`, as text; why not.
fn edited(format: ConfigFormat, content: &str, key: &str, to: &str) -> Result<String, String> {
    with_value(content.as_bytes(), format, key, to)
        .map(|content| String::from_utf8(content).unwrap())
        .map_err(|error| error.to_string())
}

/// In each content the value stands between `«` and `»`, and nothing else is changed.
#[rstest]
#[case::env_plain(Env, "# A=1\nB = 2\n\nA=«8»\nAA=8", "A", "8", "4")]
#[case::env_double(Env, "A=«\"8 x\"»\r\nB=1\r\n", "A", "8 x", "4 #")]
#[case::env_single(Env, "  A=«'8'»  \n", "A", "8", "$4")]
#[case::ini_first(Ini, "workers=«8»\n[a]\nworkers=1\n", "workers", "8", "4")]
#[case::ini_section(
    Ini,
    "workers=1\n[ a ]\nx=1\n  workers : «8»  ; eight\n[b]\nworkers=1",
    "a.workers",
    "8",
    "4"
)]
#[case::ini_dots(Ini, "[a.b]\nc.d = «\"x y\"» # z\r\n", "a.b.c.d", "x y", "z")]
#[case::ini_indented(Ini, "[a]\n\tx = «1»\n\ty = 2\n", "a.x", "1", "3")]
#[case::ini_inner_comment_sign(Ini, "[a]\nx = «a;b#c»\n", "a.x", "a;b#c", "d;e")]
#[case::json_number(Json, "{ \"a\" : {\"w\":«8», \"v\": 8 }}\n", "a.w", "8", "4.5")]
#[case::json_text(Json, "{\"é\":\"ü\",\"l\":«\"in\\u0066o\"»}", "l", "info", "a\"b\\c")]
#[case::json_dots(Json, "{\"a.b\":{\"c\":«true»}}", "a.b.c", "true", "false")]
#[case::toml_whole(Toml, "# é\n[a]\r\nw  =   «8» # eight\r\nv = 8\r\n", "a.w", "8", "4")]
#[case::toml_basic(
    Toml,
    "a = { l = «\"info\"», m = \"info\" }\n",
    "a.l",
    "info",
    "a \"b\" \\c"
)]
#[case::toml_literal(Toml, "l = «'C:\\x'»\n", "l", "C:\\x", "D:\\y")]
#[case::toml_dotted(Toml, "a.b.c = «1_000»\n", "a.b.c", "1_000", "500")]
#[case::toml_quoted_name(Toml, "[\"a.b\"]\nc = «1.5»\n", "a.b.c", "1.5", "0.5")]
#[case::toml_flag(Toml, "x = «true»", "x", "true", "false")]
#[case::toml_date(Toml, "x = «2026-11-30»\n", "x", "2026-11-30", "2026-12-01")]
#[case::yaml_number(
    Yaml,
    "# ü\na:\n  - w: 1\nb:\n  w:   «8»   # eight\n  v: 8\n",
    "b.w",
    "8",
    "4"
)]
#[case::yaml_text(
    Yaml,
    "global:\r\n  scrape: «15s»\r\n  x: y\r\n",
    "global.scrape",
    "15s",
    "30s"
)]
#[case::yaml_double(Yaml, "l: «\"in\\x66o\"»\n", "l", "info", "a \"b\" \\c")]
#[case::yaml_single(Yaml, "l: «'it''s'»\n", "l", "it's", "'4'")]
#[case::yaml_behind_quotes(Yaml, "a: {b: «\"8\"»  , c: 1}  # e\n", "a.b", "8", "4")]
#[case::yaml_comment_behind_quotes(Yaml, "a: «'8'»  # it's eight\r\nb: 1\r\n", "a", "8", "4")]
#[case::yaml_flow(Yaml, "a: {w: «8», v: [w, 8]}\n", "a.w", "8", "4")]
#[case::yaml_list_before(Yaml, "- 1\n", "", "", "")]
#[case::yaml_flag(Yaml, "---\nx: «yes»\n...\n", "x", "yes", "no")]
fn nothing_but_the_value_is_changed(
    #[case] format: ConfigFormat,
    #[case] marked: &str,
    #[case] key: &str,
    #[case] is: &str,
    #[case] to: &str,
) {
    let Some((before, rest)) = marked.split_once('«') else {
        assert!(edited(format, marked, "w", "1").is_err());
        return;
    };
    let (written, after) = rest.split_once('»').unwrap();
    let content = format!("{before}{written}{after}");
    assert_eq!(value(content.as_bytes(), format, key).as_deref(), Ok(is));
    let changed = edited(format, &content, key, to).unwrap();
    let inner = changed.strip_prefix(before).unwrap();
    let inner = inner.strip_suffix(after).unwrap();
    assert_eq!(
        inner.chars().next().filter(|c| ['"', '\''].contains(c)),
        written.chars().next().filter(|c| ['"', '\''].contains(c)),
        "the same quotes"
    );
    assert_eq!(value(changed.as_bytes(), format, key).as_deref(), Ok(to));
    // And back, as far as it was written in the plainest way.
    let back = edited(format, &changed, key, is).unwrap();
    assert_eq!(value(back.as_bytes(), format, key).as_deref(), Ok(is));
}

#[rstest]
#[case::env_missing(Env, "#A=1\nAB=1\n", "A", "A does not stand in the file")]
#[case::env_twice(Env, "A=1\nA=2\n", "A", "A stands in the file more than once")]
#[case::env_comment(Env, "A=8 # eight\n", "A", "A is a value that systemd and shells read")]
#[case::env_expansion(Env, "A=\"$B\"\n", "A", "A is a value that systemd and shells read")]
#[case::env_parts(Env, "A=\"1\"2\n", "A", "A is a value that systemd and shells read")]
#[case::env_export(Env, "export A=1\n", "A", "A is not set alike")]
#[case::env_space(Env, "A = 1\n", "A", "A is not set alike")]
#[case::env_joined(Env, "A=1\\\n2\n", "A", "A is a value of several lines")]
#[case::env_part_of_another(Env, "B=1 \\\nA=1\n", "A", "A is not set alike")]
#[case::env_in_quotes(
    Env,
    "B=\"1\nA=1\n\"\n",
    "A",
    "A is in a file with quotes over several"
)]
#[case::env_empty(Env, "A=\n", "A", "A is empty")]
#[case::ini_missing(Ini, "[a]\nb=1\n", "b", "b does not stand in the file")]
#[case::ini_twice(
    Ini,
    "[a]\nb=1\n[c]\n[a]\nb=2\n",
    "a.b",
    "a.b stands in the file more than once"
)]
#[case::ini_two_ways(
    Ini,
    "[a]\nb.c=1\n[a.b]\nc=2\n",
    "a.b.c",
    "a.b.c stands in the file more"
)]
#[case::ini_goes_on(Ini, "[a]\nb=1\n  2\n", "a.b", "a.b is a value of several lines")]
#[case::ini_backslash(Ini, "b=1\\\n2\n", "b", "b is a value of several lines")]
#[case::ini_behind_quotes(
    Ini,
    "b=\"1\" 2\n",
    "b",
    "b is a value that programs read in different"
)]
#[case::ini_open(Ini, "b=\"1\n", "b", "b is a value whose quotes do not end")]
#[case::ini_empty(Ini, "b= ; c\n", "b", "b is empty")]
#[case::json_broken(Json, "{\"a\":", "a", "the file cannot be read as JSON: EOF")]
#[case::json_comment(Json, "{\"a\":1} // b", "a", "the file cannot be read as JSON")]
#[case::json_twice(
    Json,
    "{\"a\":{\"b\":1},\"a\":{}}",
    "a.b",
    "a stands in the file more than once"
)]
#[case::json_two_ways(
    Json,
    "{\"a\":{\"b\":1},\"a.b\":2}",
    "a.b",
    "a.b stands in the file more than"
)]
#[case::json_list(Json, "{\"a\":[1]}", "a", "a is a list")]
#[case::json_null(Json, "{\"a\":null}", "a", "a is null")]
#[case::json_missing(Json, "[1]", "a", "a does not stand")]
#[case::toml_twice(
    Toml,
    "a = 1\na = 2\n",
    "a",
    "the file cannot be read as TOML: duplicate key"
)]
#[case::toml_lines(Toml, "a = \"\"\"\nb\"\"\"\n", "a", "a is text of several lines")]
#[case::toml_list(Toml, "a = [1]\n", "a", "a is a list")]
#[case::toml_table(Toml, "[a]\nb = 1\n", "a", "a is a table")]
#[case::yaml_twice(Yaml, "a: 1\nb: 1\na: 2\n", "a", "a stands in the file more than once")]
#[case::yaml_parent_twice(
    Yaml,
    "a:\n  b: 1\na:\n  c: 2\n",
    "a.b",
    "a stands in the file more than once"
)]
#[case::yaml_alias(Yaml, "x: &y 1\na: *y\n", "a", "a is defined elsewhere (*)")]
#[case::yaml_anchor(
    Yaml,
    "a: &y 1\nb: *y\n",
    "a",
    "a is something that others may refer to"
)]
#[case::yaml_shared(
    Yaml,
    "a: &y\n  b: 1\nc:\n  <<: *y\n",
    "a.b",
    "a.b is something that others may"
)]
#[case::yaml_inherited(
    Yaml,
    "a: &y\n  b: 1\nc:\n  <<: *y\n",
    "c.b",
    "c.b does not stand in the file"
)]
#[case::yaml_literal(Yaml, "a: |\n  b\n", "a", "a is text of several lines")]
#[case::yaml_folded_plain(Yaml, "a: b\n  c\n", "a", "a is text of several lines")]
#[case::yaml_tag(Yaml, "a: !!str 1\n", "a", "a is a value with a tag")]
#[case::yaml_null(Yaml, "a:\nb: 1\n", "a", "a is null")]
#[case::yaml_documents(Yaml, "a: 1\n---\na: 2\n", "a", "it holds several documents")]
#[case::yaml_broken(Yaml, "b: [1\n", "a", "the file cannot be read as YAML")]
#[case::yaml_complex_key(Yaml, "? [x]\n: a: 1\n", "a", "a does not stand in the file")]
#[case::zero(Env, "A=1\0\n", "A", "the file is not UTF-8 text")]
fn what_could_be_read_in_two_ways_is_refused(
    #[case] format: ConfigFormat,
    #[case] content: &str,
    #[case] key: &str,
    #[case] says: &str,
) {
    let error = edited(format, content, key, "3").unwrap_err();
    assert!(error.contains(says), "{error}");
}

#[rstest]
#[case::text_for_a_number(Toml, "a = 8\n", "auto", "a whole number")]
#[case::fraction_for_a_whole(Toml, "a = 8\n", "1.5", "a whole number")]
#[case::number_for_text(Yaml, "a: info\n", "8", "plain text")]
#[case::flag_for_text(Yaml, "a: info\n", "on", "plain text")]
#[case::null(Yaml, "a: info\n", "null", "plain text")]
#[case::text_for_json(Json, "{\"a\":8}", "eight", "a number")]
#[case::another_key(Yaml, "a: info\n", "b\nc: d", "plain text")]
#[case::more_members(Json, "{\"a\":8}", "1,\"b\":2", "a number")]
#[case::more_keys(Toml, "a = 8\n", "1\nb = 2", "a whole number")]
#[case::a_comment(Toml, "a = 8\n", "1 # b", "a whole number")]
#[case::flow(Yaml, "a: {a: info}\n", "b, c: d", "plain text")]
#[case::quote(Toml, "a = 'x'\n", "it's", "text in the same quotes")]
#[case::ini_comment(Ini, "a = x\n", "y ; z", "plain text")]
#[case::env_space(Env, "a=x\n", "y z", "plain text")]
#[case::env_quote(Env, "a=\"x\"\n", "y\"z", "text in the same quotes")]
fn a_value_stays_what_it_is(
    #[case] format: ConfigFormat,
    #[case] content: &str,
    #[case] to: &str,
    #[case] kind: &str,
) {
    let key = if content.contains("a: {") { "a.a" } else { "a" };
    let error = edited(format, content, key, to).unwrap_err();
    assert_eq!(
        error,
        format!("{key} cannot become {to}: it would not be {kind} as before")
    );
}

/// A generator of numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn one_of<'a>(&mut self, these: &[&'a str]) -> &'a str {
        these[self.below(these.len())]
    }
}

/// Lines that may stand around a value, for each format.
fn lines(format: ConfigFormat) -> &'static [&'static str] {
    match format {
        Env => &["# c", "B=1", "", "C='x y'", "; w=2", "D_=\"é\"", "W8=8"],
        Ini => &["# c", "b = 1", "", "c: x", ";w=2", "d = é ; f", "ww=8"],
        Json => &[
            "\"b\":1,",
            "\"c\" : [8, 8],",
            "",
            "\"é\":{\"w\":8},",
            "\"d\":\"w\",",
        ],
        Toml => &[
            "# c",
            "b = 1",
            "",
            "c = [8, 8]",
            "d = 'é' # w = 8",
            "ww = 8",
        ],
        Yaml => &[
            "# c",
            "b: 1",
            "",
            "c: [8, 8]",
            "d: é # w: 8",
            "ww: 8",
            "f: \"w: 8\"",
        ],
    }
}

/// Around the value, between which it stands.
fn forms(format: ConfigFormat) -> &'static [(&'static str, &'static str)] {
    match format {
        Env => &[("w=", ""), ("  w=\"", "\""), ("w='", "'  ")],
        Ini => &[("w = ", ""), ("w:", " ; eight"), ("w=\"", "\" # eight")],
        Json => &[("\"w\":", ","), (" \"w\" : \"", "\" , ")],
        Toml => &[("w = ", ""), ("w=\"", "\" # eight"), ("w = '", "'")],
        Yaml => &[("w: ", ""), ("w:   \"", "\" # eight"), ("w: '", "'")],
    }
}

/// Whatever stands around it, and however lines end: the bytes around the value are the same,
/// and giving the value back gives the file back.
#[rstest]
fn an_edit_and_its_reverse_give_the_same_bytes(
    #[values(Env, Ini, Json, Toml, Yaml)] format: ConfigFormat,
) {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..2_000 {
        let end = chance.one_of(&["\n", "\r\n"]);
        let mut unused = lines(format).to_vec();
        let mut some = |chance: &mut Chance| {
            let mut text = String::new();
            for _ in 0..chance.below(4) {
                if !unused.is_empty() {
                    text.push_str(unused.remove(chance.below(unused.len())));
                    text.push_str(end);
                }
            }
            text
        };
        let (before, after) = (some(&mut chance), some(&mut chance));
        let forms = forms(format);
        let (open, close) = forms[chance.below(forms.len())];
        let (is, to) = (
            chance.below(100).to_string(),
            chance.below(1_000).to_string(),
        );
        let written = |value: &str| {
            let text = format!("{before}{open}{value}{close}{end}{after}");
            match format {
                Json => format!("{{{text}\"z\":0}}"),
                _ => text,
            }
        };
        let content = written(&is);
        assert_eq!(
            value(content.as_bytes(), format, "w"),
            Ok(is.clone()),
            "{content}"
        );
        let changed = edited(format, &content, "w", &to).unwrap();
        assert_eq!(changed, written(&to));
        assert_eq!(edited(format, &changed, "w", &is).unwrap(), content);
    }
}
