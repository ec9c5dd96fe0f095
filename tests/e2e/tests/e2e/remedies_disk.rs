//! Room on full file systems: what is deleted, and what never is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Scene, Software, TIMEOUT, one_line};

const SHOP: &str = "shop.service";

/// It needs 256 KiB in /srv/shop for its start.
const NEEDS_ROOM: &str = "[Service]
ExecStart=/bin/sh -c 'head -c 262144 /dev/zero > /srv/shop/scratch && rm /srv/shop/scratch && exec sleep infinity'
";

/// The operator lets Prunella delete without asking.
const ALLOWED: &str = "[oversight]\nallow = [\"cleanup.run\"]\n";

const CACHE: &str = "[[cleanup]]\nname = \"pictures\"\npath = \"/srv/shop/cache\"\n";

/// A shop on a file system of 8 MiB, which `prepare` fills. It runs at first.
fn scene(main: &str, care: &str, mount: &str) -> Scene {
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", main, 0o644)
        .file("/srv/shop/lost", "", 0o644)
        .service(SHOP, NEEDS_ROOM, care)
        .with_daemon();
    sh(&scene, mount);
    sh(&scene, "mkdir -p /srv/shop/cache");
    scene.start(&[SHOP]);
    scene
}

/// It kills the daemon as soon as the first file is gone.
const STRIKER: &str = "[Service]
ExecStart=/bin/sh -c 'while test -e /srv/shop/cache/1; do :; done; exec systemctl kill -s KILL prunella.service'
";

/// After two starts in vain Prunella has done all that it may.
const TWO_STARTS: &str = "[budget]\nhealings = 2\nwindow = \"1h\"\nbackoff = [\"0s\"]\n";

const SMALL: &str = "mount -t tmpfs -o size=8m tmpfs /srv/shop";

fn sh(scene: &Scene, script: &str) -> String {
    scene.run_ok(&["sh", "-ec", script]).unwrap()
}

/// Writes into a file until nothing fits any more.
fn fill(scene: &Scene, file: &str) {
    sh(
        scene,
        &format!("dd if=/dev/zero of={file} bs=64k status=none 2>/dev/null || true"),
    );
}

fn is_there(scene: &Scene, path: &str) -> bool {
    scene.run(&["test", "-e", path]).unwrap().success()
}

/// The end of an incident that Prunella could not end: nothing was deleted.
fn kill_and_wait_escalated(scene: &Scene) -> prunella_e2e::Incident {
    scene.kill(SHOP);
    scene.wait_ended(SHOP, "escalated")
}

#[test]
fn a_full_disk_is_cleaned_and_the_service_comes_back() {
    let scene = scene(ALLOWED, CACHE, SMALL);
    sh(
        &scene,
        "dd if=/dev/zero of=/srv/shop/orders bs=1M count=2 status=none",
    );
    sh(
        &scene,
        "mkdir /srv/shop/cache/a; echo x > /srv/shop/cache/a/small",
    );
    fill(&scene, "/srv/shop/cache/large.jpg");
    scene.kill(SHOP);
    let incident = scene.wait_healed(SHOP);
    let record = scene.record(&incident);
    assert!(
        record.acts().contains(&"cleanup.run pictures".to_owned()),
        "{}",
        record.text()
    );
    assert!(!is_there(&scene, "/srv/shop/cache/large.jpg"));
    assert!(is_there(&scene, "/srv/shop/cache/a"), "folders stay");
    assert!(is_there(&scene, "/srv/shop/orders"), "it was not declared");
    let report = one_line(&scene.report(&incident));
    for part in [
        "delete 2 files of /srv/shop/cache (6 MiB; the largest: large.jpg (5.9 MiB), a/small (4 KiB))",
        "deleted 2 files of /srv/shop/cache",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
    let undone = scene.prunella(&["undo", &incident.id]);
    let said = format!("{}{}", undone.stdout, undone.stderr);
    assert!(said.contains("it cannot be undone"), "{said}");
}

#[test]
fn without_the_operators_leave_people_are_asked_first() {
    let scene = scene("", CACHE, SMALL);
    fill(&scene, "/srv/shop/cache/large.jpg");
    let incident = kill_and_wait_escalated(&scene);
    assert!(is_there(&scene, "/srv/shop/cache/large.jpg"));
    let list = scene.prunella_ok(&["approvals"]);
    assert!(
        list.contains("delete 1 file of /srv/shop/cache (8 MiB; the largest: large.jpg (8 MiB))"),
        "{list}"
    );
    let waiting = scene.prunella_ok(&["approvals", "--json"]);
    let approval: serde_json::Value = serde_json::from_str(waiting.trim()).unwrap();
    scene.prunella_ok(&["approve", approval["id"].as_str().unwrap()]);
    let healed = scene.wait_healed(SHOP);
    assert_eq!(healed.id, incident.id);
    assert!(!is_there(&scene, "/srv/shop/cache/large.jpg"));
    let record = scene.record(&incident);
    assert_eq!(record.steps("approved").count(), 1, "{}", record.text());
}

#[test]
fn nothing_is_deleted_where_there_is_room() {
    let scene = scene(ALLOWED, &format!("{CACHE}{TWO_STARTS}"), SMALL);
    sh(
        &scene,
        "dd if=/dev/zero of=/srv/shop/cache/large.jpg bs=1M count=6 status=none",
    );
    // It fails for another reason.
    sh(&scene, "mkdir /srv/shop/scratch");
    let incident = kill_and_wait_escalated(&scene);
    assert!(is_there(&scene, "/srv/shop/cache/large.jpg"));
    let record = scene.record(&incident);
    let assessed: Vec<_> = record
        .steps("assessed")
        .filter(|step| step["strategy"] == "disk-relief")
        .collect();
    assert!(!assessed.is_empty(), "{}", record.text());
    // Whatever else is full on this host: no cleanup lies there.
    for step in assessed {
        assert_eq!(step["assessment"]["says"], "not-applicable", "{step}");
    }
}

#[test]
fn what_is_open_mounted_linked_or_young_is_never_deleted() {
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .file("/var/precious/file", "precious", 0o644)
        .unit(
            "reader.service",
            "[Service]\nExecStart=/bin/sh -c 'exec 3< /srv/shop/cache/open; exec sleep infinity'\n",
        )
        .service(
            SHOP,
            NEEDS_ROOM,
            "[[cleanup]]\nname = \"pictures\"\npath = \"/srv/shop/cache\"\nolder-than = \"1h\"\n",
        )
        .file("/srv/shop/lost", "", 0o644)
        .with_daemon();
    sh(
        &scene,
        "mount -t tmpfs -o size=8m tmpfs /srv/shop
         mkdir -p /srv/shop/cache/mounted /srv/shop/cache/bound /srv/shop/private
         mount -t tmpfs -o size=1m tmpfs /srv/shop/cache/mounted
         mount --bind /srv/shop/private /srv/shop/cache/bound
         cd /srv/shop/cache
         ln -s /var/precious link
         ln -s /var/precious/file to
         for f in open linked mounted/file bound/file; do echo precious > $f; done
         ln linked /srv/shop/other
         echo young > young
         touch -d -2hours open linked mounted/file bound/file /var/precious/file",
    );
    scene.start(&[SHOP, "reader.service"]);
    fill(&scene, "/srv/shop/cache/large.jpg");
    sh(&scene, "touch -d -2hours /srv/shop/cache/large.jpg");
    scene.kill(SHOP);
    scene.wait_healed(SHOP);
    assert!(!is_there(&scene, "/srv/shop/cache/large.jpg"));
    let left = sh(
        &scene,
        "cd /srv/shop/cache; find . /var/precious ! -type d | sort",
    );
    assert_eq!(
        left,
        "./bound/file\n./link\n./linked\n./mounted/file\n./open\n./to\n./young\n/var/precious/file\n"
    );
}

#[test]
fn a_cleanup_whose_mount_is_gone_deletes_nothing() {
    let care = "[[cleanup]]\nname = \"pictures\"\npath = \"/srv/shop/cache\"\nmounted = true\n";
    let scene = scene(ALLOWED, &format!("{care}{TWO_STARTS}"), SMALL);
    sh(
        &scene,
        "dd if=/dev/zero of=/srv/shop/cache/precious bs=1M count=2 status=none
         mount -t tmpfs -o size=1m tmpfs /srv/shop/cache",
    );
    let check = scene.prunella(&["config", "check"]);
    assert!(check.success(), "{}", check.stderr);
    sh(&scene, "umount /srv/shop/cache");
    fill(&scene, "/srv/shop/orders");
    let incident = kill_and_wait_escalated(&scene);
    assert!(is_there(&scene, "/srv/shop/cache/precious"));
    let text = scene.record(&incident).text();
    assert!(
        text.contains("the file system of `pictures` is not mounted"),
        "{text}"
    );
    let check = scene.prunella(&["config", "check"]);
    let said = format!("{}{}", check.stdout, check.stderr);
    assert!(
        said.contains("nothing is mounted on /srv/shop/cache"),
        "{said}"
    );
}

#[test]
fn a_file_system_without_inodes_is_cleaned_of_many_small_files() {
    let mount = "mount -t tmpfs -o size=8m,nr_inodes=400 tmpfs /srv/shop";
    let scene = scene(ALLOWED, CACHE, mount);
    sh(
        &scene,
        "cd /srv/shop/cache; seq 1000 | xargs touch 2>/dev/null || true",
    );
    scene.kill(SHOP);
    let incident = scene.wait_healed(SHOP);
    let report = one_line(&scene.report(&incident));
    assert!(
        report.contains("of the inodes of /srv/shop are used"),
        "{report}"
    );
    assert_eq!(sh(&scene, "ls /srv/shop/cache | wc -l"), "0\n");
}

#[test]
fn a_log_that_is_open_is_emptied_and_goes_on() {
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .file("/srv/shop/lost", "", 0o644)
        .unit(
            "chatty.service",
            "[Service]\nExecStart=/bin/sh -c 'exec >> /srv/shop/cache/chatty.log; while sleep 0.1; do echo goes on; done'\n",
        )
        .service(
            SHOP,
            NEEDS_ROOM,
            "[[cleanup]]\nname = \"logs\"\npath = \"/srv/shop/cache\"\npatterns = [\"*.log\"]\ntruncate = true\n",
        )
        .with_daemon();
    sh(&scene, SMALL);
    sh(&scene, "mkdir -p /srv/shop/cache");
    scene.start(&[SHOP]);
    fill(&scene, "/srv/shop/cache/chatty.log");
    scene.start(&["chatty.service"]);
    let pid = scene.main_pid("chatty.service");
    scene.kill(SHOP);
    let incident = scene.wait_healed(SHOP);
    let report = scene.report(&incident);
    assert!(
        report.contains("emptied 1 open log of /srv/shop/cache"),
        "{report}"
    );
    assert_eq!(scene.main_pid("chatty.service"), pid);
    scene
        .wait_for("the log to go on", TIMEOUT, || {
            let log = scene.run_ok(&["head", "-c", "8", "/srv/shop/cache/chatty.log"])?;
            Ok((log == "goes on\n").then_some(()))
        })
        .unwrap();
}

#[test]
fn caches_go_before_what_the_operator_declared_and_that_stays_where_they_suffice() {
    let care = "[[cleanup]]\nname = \"a-shop\"\npath = \"/var/cache/shop\"\n
[[cleanup]]\nname = \"z-packages\"\npreset = \"apt\"\n";
    let mount = "mkdir -p /srv/shop
mount -t tmpfs -o size=8m tmpfs /var/cache
mount --bind /var/cache /srv/shop
mkdir -p /var/cache/apt/archives/partial /var/cache/shop
dd if=/dev/zero of=/var/cache/shop/picture bs=1M count=2 status=none
echo x > /var/cache/apt/archives/partial/half.deb
echo x > /var/cache/apt/archives/lock";
    let scene = scene(ALLOWED, care, mount);
    fill(&scene, "/var/cache/apt/archives/large.deb");
    scene.kill(SHOP);
    let incident = scene.wait_healed(SHOP);
    let record = scene.record(&incident);
    let cleaned: Vec<String> = record
        .acts()
        .into_iter()
        .filter(|act| act.starts_with("cleanup"))
        .collect();
    assert_eq!(cleaned, ["cleanup.run z-packages"], "{}", record.text());
    let left = sh(&scene, "cd /var/cache; find apt shop -type f | sort");
    assert_eq!(
        left,
        "apt/archives/lock\napt/archives/partial/half.deb\nshop/picture\n"
    );
}

#[test]
fn a_daemon_that_is_killed_while_it_deletes_heals_after_its_next_start() {
    let scene = Scene::builder()
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .file("/srv/shop/lost", "", 0o644)
        .unit("striker.service", STRIKER)
        .service(SHOP, NEEDS_ROOM, CACHE)
        .with_daemon();
    sh(
        &scene,
        "mount -t tmpfs -o size=64m,nr_inodes=0 tmpfs /srv/shop
         mkdir /srv/shop/cache
         cd /srv/shop/cache; seq 30000 | xargs touch -d -2hours
         echo precious > /srv/shop/orders",
    );
    scene.start(&[SHOP, "striker.service"]);
    fill(&scene, "/srv/shop/cache/large.jpg");
    scene.kill(SHOP);
    // Whether the start was before or after it: the service is up, and it is told.
    scene
        .wait_for("the incident to end", TIMEOUT, || {
            let ended = |one: &prunella_e2e::Incident| one.is("healed") || one.is("recovered");
            Ok(scene.incidents_of(SHOP).iter().any(ended).then_some(()))
        })
        .unwrap();
    assert!(scene.property("prunella.service", "NRestarts").unwrap() != "0");
    scene.wait_active(SHOP, TIMEOUT).unwrap();
    assert!(!is_there(&scene, "/srv/shop/cache/large.jpg"));
    assert_eq!(sh(&scene, "cat /srv/shop/orders"), "precious\n");
}

const PODMAN: Software = Software {
    name: "podman",
    packages: &["podman"],
};

/// Files can be read that lie in a file system of any kind.
const STORAGE: &str = "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\n\
                       graphroot = \"/var/lib/containers/storage\"\n";

/// It needs 256 KiB where the images lie.
const NEEDS_ROOM_BESIDE_IMAGES: &str = "[Service]
ExecStart=/bin/sh -c 'head -c 262144 /dev/zero > /var/lib/containers/scratch || { rm /var/lib/containers/scratch; exit 1; }; rm /var/lib/containers/scratch; exec sleep infinity'
";

#[test]
fn images_that_have_no_name_and_no_container_make_room() {
    let scene = Scene::builder()
        .software(PODMAN)
        .file("/etc/prunella/prunella.toml", ALLOWED, 0o644)
        .file("/etc/containers/storage.conf", STORAGE, 0o644)
        .service(
            SHOP,
            NEEDS_ROOM_BESIDE_IMAGES,
            "[[cleanup]]\nname = \"images\"\npreset = \"container-images\"\nolder-than = \"1s\"\n",
        )
        .with_daemon();
    sh(
        &scene,
        "mount -t tmpfs -o size=32m tmpfs /var/lib/containers",
    );
    // Each name is given to a newer image; one of the older ones has a container.
    let import = |name: &str, bytes: u32| {
        sh(
            &scene,
            &format!(
                "mkdir -p /run/image; head -c {bytes} /dev/urandom > /run/image/{name}; \
                 tar -c -C /run/image {name} | podman import --quiet - {name}"
            ),
        )
        .trim()
        .to_owned()
    };
    let used = import("shop", 2_000_000);
    sh(&scene, "podman create --name shop shop true");
    let kept = import("shop", 1_000_000);
    let unnamed = import("front", 3_000_000);
    let named = import("front", 1_000_000);
    sh(&scene, "systemctl start podman.socket");
    scene.start(&[SHOP]);
    fill(&scene, "/var/lib/containers/full");
    // An engine needs a little room to delete anything.
    sh(&scene, "truncate --size=-128K /var/lib/containers/full");
    scene.kill(SHOP);

    let healed = scene.wait_healed(SHOP);
    let record = scene.record(&healed);
    assert!(
        record.acts().contains(&"cleanup.run images".to_owned()),
        "{}",
        record.text()
    );
    let report = one_line(&scene.report(&healed));
    assert!(
        report.contains("deleted 1 untagged image of `images`"),
        "{report}"
    );
    let there = |id: &str| {
        scene
            .run(&[
                "podman",
                "image",
                "exists",
                id.trim_start_matches("sha256:"),
            ])
            .unwrap()
            .success()
    };
    assert!(!there(&unnamed));
    for id in [used, kept, named] {
        assert!(there(&id), "{id}");
    }
}

#[test]
fn mistakes_in_a_cleanup_are_found_before_anything_is_deleted() {
    let scene = Scene::builder()
        .service(
            SHOP,
            "[Service]\nExecStart=/bin/sleep infinity\n",
            "[[cleanup]]\nname = \"pictures\"\npath = \"/nowhere/pictures\"\n",
        )
        .without_daemon();
    let check = scene.prunella(&["config", "check"]);
    let said = format!("{}{}", check.stdout, check.stderr);
    assert!(
        said.contains("the folder /nowhere/pictures of the cleanup `pictures` is not there"),
        "{said}"
    );
}
