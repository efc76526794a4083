"""Fences around a student's process, put up by itself before it loads the student's files.

None of them can be taken down again, and none needs special rights:

* resource limits: memory, processor time, the size of files, open files, processes;
* Landlock (Linux 5.13 and newer): nothing can be written, and nothing read but Python, NumPy and
  the student's own folder (for the tasks about the engine also minigrad, without this coursework);
* seccomp: no new processes or threads, no other programs, no signals to others, no sockets.

Where the system does not offer one, the others stand; ``confine`` says which do.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MEGABYTE = 1 << 20

# --------------------------------------------------------------------------------- resource limits


def limit(memory_mb: int, cpu_seconds: int, file_mb: int) -> set[str]:
    """Limit what this process may use; returns the fences that stand."""
    if resource is None:
        return set()
    wanted: list[tuple[str, int]] = [
        ("RLIMIT_AS", memory_mb * MEGABYTE),
        ("RLIMIT_CPU", cpu_seconds),
        ("RLIMIT_FSIZE", file_mb * MEGABYTE),
        ("RLIMIT_NOFILE", 64),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_NPROC", 0),
    ]
    done = set()
    for name, value in wanted:
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        try:
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS refuses some of them
            continue
        done.add(name)
    fences = {"memory"} if "RLIMIT_AS" in done else set()
    if "RLIMIT_NPROC" in done and os.getuid() != 0:  # it does not bind root
        fences.add("processes")
    return fences


# ----------------------------------------------------------------------------------------- Landlock

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
READ_FILE, READ_DIR = 1 << 2, 1 << 3
# What each version of Landlock can refuse: the number of kinds of access to files.
FILE_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
TCP = 0b11
SCOPES = 0b11  # abstract sockets and signals of others


def restrict_files(readable: list[str], listable: list[str]) -> bool:
    """Refuse all access to files but reading what is in ``readable``, and to the network."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    files = (1 << FILE_ACCESS[min(version, 5)]) - 1
    ruleset = struct.pack("QQQ", files, TCP if version >= 4 else 0, SCOPES if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    descriptor = libc.syscall(CREATE_RULESET, ruleset, ctypes.c_size_t(size), 0)
    if descriptor < 0:
        return False
    for path, access in [
        *((p, READ_FILE | READ_DIR) for p in readable),
        *((p, READ_DIR) for p in listable),
    ]:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        if not os.path.isdir(path):
            access &= ~READ_DIR
        libc.syscall(ADD_RULE, descriptor, 1, struct.pack("=Qi", access, place), 0)
        os.close(place)
    no_new_privileges(libc)
    done = libc.syscall(RESTRICT_SELF, descriptor, 0) == 0
    os.close(descriptor)
    return bool(done)


def no_new_privileges(libc: Any) -> None:
    """Needed before Landlock and seccomp: what runs later cannot gain rights."""
    libc.prctl(38, 1, 0, 0, 0)


# ------------------------------------------------------------------------------------------ seccomp

# System calls that a computation does not make, by their numbers on x86-64 and on 64-bit ARM.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "clone": (56, 220), "fork": (57, None), "vfork": (58, None), "clone3": (435, 435),
    "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "ptrace": (101, 117), "kcmp": (312, 272),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "io_uring_setup": (425, 425), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "keyctl": (250, 219), "add_key": (248, 217),
    "memfd_create": (319, 279),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "setrlimit": (160, 164), "prlimit64": (302, 261), "setpriority": (141, 140),
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "chroot": (161, 51), "pivot_root": (155, 41),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "utimensat": (280, 88),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "reboot": (169, 142), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104), "swapon": (167, 224), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "sethostname": (170, 161), "syslog": (103, 116),
}  # fmt: skip

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


def refuse_calls() -> bool:
    """Let each of the system calls in REFUSED fail with "operation not permitted"."""
    if sys.platform != "linux" or platform.machine() not in ARCHITECTURES:
        return False
    column, architecture = ARCHITECTURES[platform.machine()]
    numbers = [row[column] for row in REFUSED.values() if row[column] is not None]
    code: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, 4),  # the architecture
        (JUMP_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, 0),  # the number of the call
    ]
    if column == 0:  # the other numbering that x86-64 knows begins at 2^30
        code += [(JUMP_AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, REFUSE)]
    for number in numbers:
        assert number is not None
        code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    code.append((RETURN, 0, 0, ALLOW))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges(libc)
    filled = Program(len(code), ctypes.addressof(program))
    return bool(libc.prctl(22, 2, ctypes.byref(filled), 0, 0) == 0)


# ------------------------------------------------------------------------------------- all of them


def confine(
    memory_mb: int, cpu_seconds: int, file_mb: int, readable: list[str], listable: list[str]
) -> list[str]:
    """Put up every fence that the system offers: "memory", "processes", "files"."""
    fences = limit(memory_mb, cpu_seconds, file_mb)
    if sys.platform == "linux":
        if restrict_files(readable, listable):
            fences.add("files")
        if refuse_calls():
            fences.add("processes")
    return sorted(fences)
