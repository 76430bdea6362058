use super::*;

/// A folder that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("thingslink-spool-{:016x}", fastrand::u64(..)));
        Self(path)
    }

    fn open(&self) -> Spool {
        Spool::open(&self.0, 1 << 30).unwrap()
    }

    fn segments(&self) -> usize {
        let paths = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "spool")).count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn put(spool: &mut Spool, numbers: std::ops::Range<u32>) {
    for number in numbers {
        assert!(spool.append("things.a.d.up", Some(&number.to_string()), &[7; 1000]).unwrap());
    }
}

/// Read them all, and have them done; gives their numbers.
fn take(spool: &mut Spool, most: usize) -> Vec<u32> {
    let mut numbers = Vec::new();
    while numbers.len() < most
        && let Some((place, record)) = spool.next().unwrap()
    {
        assert_eq!((record.subject.as_str(), record.payload.len()), ("things.a.d.up", 1000));
        numbers.push(record.id.unwrap().parse().unwrap());
        spool.done(place).unwrap();
    }
    numbers
}

#[test]
fn messages_come_out_in_their_order_and_leave_nothing_on_the_disk() {
    let folder = Folder::new();
    let mut spool = folder.open();
    put(&mut spool, 0..10_000);
    assert!(folder.segments() > 2 && spool.messages() == 10_000);
    assert_eq!(take(&mut spool, usize::MAX), (0..10_000).collect::<Vec<_>>());
    assert_eq!((folder.segments(), spool.messages(), spool.bytes()), (0, 0, 0));
    put(&mut spool, 3..5);
    assert_eq!(take(&mut spool, 9), [3, 4]);
}

#[test]
fn what_has_not_arrived_is_there_for_the_next_process() {
    let folder = Folder::new();
    let mut spool = folder.open();
    put(&mut spool, 0..6);
    assert_eq!(take(&mut spool, 2), [0, 1]);
    let second = spool.next().unwrap().unwrap().0;
    let third = spool.next().unwrap().unwrap().0;
    spool.done(third).unwrap();
    assert!(second < third);
    drop(spool);
    let mut spool = folder.open();
    assert_eq!(spool.messages(), 4);
    assert_eq!(take(&mut spool, 9), [2, 3, 4, 5], "the third comes again: the second stood before it");
}

#[test]
fn nobody_else_may_have_it() {
    let folder = Folder::new();
    let _spool = folder.open();
    assert_eq!(Spool::open(&folder.0, 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_full_spool_takes_no_more_until_some_have_gone() {
    let folder = Folder::new();
    let mut spool = Spool::open(&folder.0, 2500).unwrap();
    put(&mut spool, 0..2);
    assert!(!spool.append("things.a.d.up", None, &[7; 1000]).unwrap());
    assert_eq!(take(&mut spool, 9), [0, 1]);
    put(&mut spool, 2..4);
}

#[test]
fn half_a_message_at_the_end_is_given_up() {
    let folder = Folder::new();
    let mut spool = folder.open();
    put(&mut spool, 0..3);
    let path = spool.path(FIRST);
    drop(spool);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    let mut spool = folder.open();
    put(&mut spool, 7..8);
    assert_eq!(take(&mut spool, 9), [0, 1, 7]);
}

#[test]
fn what_is_put_before_comes_first_and_so_it_does_for_the_next_process() {
    let folder = Folder::new();
    let mut spool = folder.open();
    put(&mut spool, 0..5);
    assert_eq!(take(&mut spool, 1), [0]);
    spool.next().unwrap().unwrap();
    let id = ["91", "92"];
    spool.put_before(id.iter().map(|id| ("things.a.d.up", Some(*id), &[7; 1000][..]))).unwrap();
    assert_eq!(spool.messages(), 6);
    drop(spool);
    let mut spool = folder.open();
    assert_eq!(take(&mut spool, 9), [91, 92, 1, 2, 3, 4]);
    assert_eq!(folder.segments(), 0);
}
