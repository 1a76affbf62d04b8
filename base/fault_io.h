/* base/fault_io.h: a file system that fails where a test wants it to, on a mem_io of its own.
 *
 *     for (uint32_t nth = 1, fired = 1; fired; nth++) {
 *         struct fault_io fio;
 *         fault_io_init(&fio, (struct fault){ .nth = nth, .sys = EIO, .crash = true });
 *         ... use &fio.io until it fails ...
 *         fired = fault_io_crash(&fio);
 *         ... open again through &fio.io and compare ...
 *         fault_io_fini(&fio);
 *     }
 *
 * Every call that can fail counts, reads too. With `crash`, all calls after the failing one fail as
 * well, as for a process that is about to die. Thread-safe. */
#pragma once
#include "base/mem_io.h"

struct fault {
    uint32_t nth;        /* which call fails, from 1; 0: none */
    int sys;             /* with this errno; 0: EIO */
    bool short_write;    /* a failing write puts part of its bytes first */
    bool crash;          /* see above; fault_io_crash() then loses what was not synced */
    uint64_t disk_bytes; /* not 0: the disk is full beyond this */
    uint64_t seed;       /* 0: the environment's TEST_SEED, else made from nth */
};

struct fault_io {
    struct io io; /* hand out &fio.io */
    struct mem_io mem;
    struct fault fault;
    uint64_t seed; /* to print when a test fails */
    _Atomic uint32_t calls_nr;
    _Atomic bool fired;
    bool healed;
};

void fault_io_init(struct fault_io *f, struct fault fault);
void fault_io_fini(struct fault_io *f);

/* Ends the faulty part: from here on calls succeed. True when the fault had been met. */
bool fault_io_crash(struct fault_io *f);
