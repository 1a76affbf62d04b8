#include "tsdb/wal_hold.h"

#include "base/mem.h"

struct wal_held {
    struct wal_held *next;
    uint64_t bytes; /* of all of it, as counted */
    size_t nr, packed_n;
    uint64_t saved_bytes;
    uint8_t *packed;
    struct wal_packed records[];
};

bool
wal_hold_add(struct wal_hold *h, const struct wal_batch *b)
{
    size_t records_bytes = mem_array_bytes(b->nr, sizeof *b->records);
    uint64_t bytes = sizeof(struct wal_held) + records_bytes + b->packed.n;

    if (bytes > h->bytes_max || h->bytes > h->bytes_max - bytes)
        return false;
    struct wal_held *held = mem_alloc((size_t)bytes);
    *held = (struct wal_held){
        .bytes = bytes, .nr = b->nr, .packed_n = b->packed.n, .saved_bytes = b->saved_bytes
    };
    memcpy(held->records, b->records, records_bytes);
    held->packed = (uint8_t *)held->records + records_bytes;
    memcpy(held->packed, b->packed.p, b->packed.n);
    if (h->newest != NULL)
        h->newest->next = held;
    else
        h->oldest = held;
    h->newest = held;
    h->bytes += bytes;
    h->nr++;
    return true;
}

bool
wal_hold_first(const struct wal_hold *h, struct wal_batch *b)
{
    struct wal_held *held = h->oldest;

    if (held == NULL)
        return false;
    *b = (struct wal_batch){ .packed = { .p = held->packed, .n = held->packed_n },
                             .records = held->records,
                             .nr = held->nr,
                             .saved_bytes = held->saved_bytes };
    return true;
}

void
wal_hold_drop(struct wal_hold *h)
{
    struct wal_held *held = h->oldest;

    h->oldest = held->next;
    if (h->oldest == NULL)
        h->newest = NULL;
    h->bytes -= held->bytes;
    h->nr--;
    mem_free(held);
}

void
wal_hold_fini(struct wal_hold *h)
{
    while (h->oldest != NULL)
        wal_hold_drop(h);
}
