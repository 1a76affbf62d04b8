#include "base/dec.h"

bool
dec_check(const struct dec *d, struct error *err)
{
    if (d->bad)
        return error_set(err, ERR_CORRUPT, "bytes end early or a number does not decode");
    return true;
}

bool
dec_end(const struct dec *d, struct error *err)
{
    if (!dec_check(d, err))
        return false;
    if (dec_left(d) != 0)
        return error_set(err, ERR_CORRUPT, "%zu bytes left over", dec_left(d));
    return true;
}
