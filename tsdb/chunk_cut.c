#include "tsdb/chunk_cut.h"

#include <math.h>

int64_t
chunk_cut_range_end(int64_t t_ms, int64_t range_ms)
{
    return t_ms / range_ms * range_ms + range_ms;
}

/* Where the chunk that began at start_ms and is now at cur_ms should end, so that the chunks up to
 * max_ms come out equally long, when so far 1/ratio of one chunk is filled. */
static int64_t
end_time(int64_t start_ms, int64_t cur_ms, int64_t max_ms, double ratio)
{
    double n = (double)(max_ms - start_ms) / ((double)(cur_ms - start_ms + 1) * ratio);

    if (n <= 1)
        return max_ms;
    return (int64_t)((double)start_ms + (double)(max_ms - start_ms) / floor(n));
}

/* XOR and XOR2 may follow each other in one chunk. */
static bool
same_kind(enum chunk_encoding open, enum chunk_encoding wanted)
{
    return open == wanted || (chunk_is_float(open) && chunk_is_float(wanted));
}

bool
chunk_cut_float(const struct chunk_open *open, enum chunk_encoding wanted, int64_t t_ms,
                int64_t range_ms, uint32_t samples_target, int64_t *next_ms)
{
    if (open == NULL || open->bytes > CHUNK_CUT_FLOAT_BYTES || !same_kind(open->encoding, wanted)) {
        *next_ms = chunk_cut_range_end(t_ms, range_ms);
        return true;
    }
    if (open->samples_nr == 0)
        *next_ms = chunk_cut_range_end(t_ms, range_ms);
    if (open->samples_nr == samples_target / 4)
        *next_ms = end_time(open->min_ms, open->max_ms, *next_ms, 4);
    if (t_ms < *next_ms && open->samples_nr < 2 * samples_target)
        return false;
    *next_ms = chunk_cut_range_end(t_ms, range_ms);
    return true;
}

bool
chunk_cut_histogram(const struct chunk_open *open, enum chunk_encoding wanted, int64_t t_ms,
                    int64_t range_ms, int64_t *next_ms, bool *computed)
{
    if (open == NULL || open->encoding != wanted)
        goto cut;
    if (open->samples_nr == 0)
        *next_ms = chunk_cut_range_end(t_ms, range_ms);
    int64_t range_end = *computed ? chunk_cut_range_end(open->min_ms, range_ms) : *next_ms;
    if (!*computed && open->bytes >= CHUNK_CUT_HISTOGRAM_BYTES / 4) {
        *next_ms = end_time(open->min_ms, open->max_ms, *next_ms,
                            (double)CHUNK_CUT_HISTOGRAM_BYTES / (double)open->bytes);
        *computed = true;
    }
    bool due = t_ms >= *next_ms || open->bytes >= 2 * CHUNK_CUT_HISTOGRAM_BYTES;
    if (!due || (open->samples_nr < CHUNK_CUT_HISTOGRAM_SAMPLES_MIN && t_ms < range_end))
        return false;
cut:
    *next_ms = chunk_cut_range_end(t_ms, range_ms);
    *computed = false;
    return true;
}
