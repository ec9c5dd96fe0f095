use rstest::rstest;

use super::*;

const LOCKS: &str = "\
1: POSIX  ADVISORY  WRITE 812 08:02:1234 0 EOF
2: FLOCK  ADVISORY  WRITE 813 08:02:77 0 EOF
2: -> FLOCK  ADVISORY  WRITE 999 08:02:55 0 EOF
3: OFDLCK ADVISORY  READ -1 fe:00:9 0 EOF
";

#[rstest]
#[case::by_fcntl(8, 2, 1234, Some(812))]
#[case::by_flock(8, 2, 77, Some(813))]
#[case::waited_for_is_not_held(8, 2, 55, None)]
#[case::of_an_open_file(0xfe, 0, 9, Some(-1))]
#[case::on_another_device(9, 2, 1234, None)]
fn who_holds_a_lock(
    #[case] major: u32,
    #[case] minor: u32,
    #[case] inode: u64,
    #[case] holder_of: Option<i64>,
) {
    let device = rustix::fs::makedev(major, minor);
    assert_eq!(holder(LOCKS, device, inode), holder_of);
}

#[test]
fn what_sockets_are_bound_to() {
    let sockets = "Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 20001 /run/web.sock\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 20002\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 20003 /run/of it/web.sock\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 20004 @web.sock\n";
    let found: Vec<&Path> = bound(sockets, OsStr::new("web.sock")).collect();
    assert_eq!(
        found,
        [Path::new("/run/web.sock"), Path::new("/run/of it/web.sock")]
    );
}
