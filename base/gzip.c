#include "base/gzip.h"

#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

enum {
    DEFLATE_RATIO_MAX = 1032, /* no deflate stream expands more: a trailer that claims so lies */
    STREAM_STEP_BYTES = 64 * 1024,
    DEFLATE_LEVEL = 1, /* bodies are sent once: time is dearer than the last bytes */
    ZSTD_LEVEL = 1,
    ZSTD_WINDOW_LOG_MAX = 27
};

static bool
over_limit(struct error *err, size_t bytes_max)
{
    return error_set(err, ERR_LIMIT, "decompressed body is over the limit of %zu bytes", bytes_max);
}

/* The last four bytes of a gzip file are its size modulo 2^32. */
static size_t
claimed_bytes(struct bytes in)
{
    uint32_t size;

    if (in.n < 18)
        return 0;
    memcpy(&size, in.p + in.n - 4, sizeof size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    size = __builtin_bswap32(size);
#endif
    return size;
}

/* One member whose trailer tells the truth; false without an error when it is not so simple. */
static bool
decode_whole(struct bytes in, size_t bytes_max, struct buf *out)
{
    size_t bytes = claimed_bytes(in), used = 0, got = 0;

    if (bytes > bytes_max || bytes / DEFLATE_RATIO_MAX > in.n)
        return false;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (d == NULL)
        mem_exhausted(0);
    enum libdeflate_result r = libdeflate_gzip_decompress_ex(
        d, in.p, in.n, buf_reserve(out, bytes + 1), bytes, &used, &got);
    libdeflate_free_decompressor(d);
    if (r != LIBDEFLATE_SUCCESS || used != in.n)
        return false;
    out->n += got;
    return true;
}

/* A page sent with "Content-Encoding: gzip" that is none is common enough to have its own word. */
static const char *
gzip_fault(struct bytes in, int status)
{
    if (status == Z_BUF_ERROR)
        return "unexpected EOF";
    bool magic = in.n > 2 && in.p[0] == 0x1f && in.p[1] == 0x8b && in.p[2] == 8;
    return magic ? "gzip: invalid checksum or data" : "gzip: invalid header";
}

/* Runs inflate() until the stream ends, several gzip members in a row. */
static bool
inflate_all(z_stream *z, struct bytes in, bool members, size_t bytes_max, struct buf *out,
            struct error *err)
{
    size_t total = 0;

    for (;;) {
        size_t step = MIN((size_t)STREAM_STEP_BYTES, bytes_max - total + 1);
        z->next_out = buf_reserve(out, step);
        z->avail_out = (uInt)step;
        int status = inflate(z, Z_NO_FLUSH);
        size_t got = step - z->avail_out;
        out->n += got;
        total += got;
        if (total > bytes_max)
            return over_limit(err, bytes_max);
        if (status == Z_STREAM_END && (!members || z->avail_in == 0))
            return true;
        if (status == Z_STREAM_END)
            status = inflateReset(z);
        if (status != Z_OK)
            return error_set(err, ERR_CORRUPT, "%s",
                             members                 ? gzip_fault(in, status)
                             : status == Z_BUF_ERROR ? "unexpected EOF"
                                                     : "zlib: invalid checksum or data");
    }
}

static bool
decode_stream(int window_bits, struct bytes in, size_t bytes_max, struct buf *out,
              struct error *err)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n };

    if (in.n > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "compressed body of %zu bytes", in.n);
    if (inflateInit2(&z, window_bits) != Z_OK)
        mem_exhausted(0);
    bool ok = inflate_all(&z, in, window_bits > MAX_WBITS, bytes_max, out, err);
    inflateEnd(&z);
    return ok;
}

static bool
decode_zstd(struct bytes in, size_t bytes_max, struct buf *out, struct error *err)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer src = { in.p, in.n, 0 };
    size_t total = 0, left = 1;
    bool ok = true;

    if (d == NULL)
        mem_exhausted(0);
    ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    while (ok && (src.pos < src.size || left != 0)) {
        size_t step = MIN((size_t)STREAM_STEP_BYTES, bytes_max - total + 1), before = src.pos;
        ZSTD_outBuffer dst = { buf_reserve(out, step), step, 0 };
        left = ZSTD_decompressStream(d, &dst, &src);
        out->n += dst.pos;
        total += dst.pos;
        if (ZSTD_isError(left))
            ok = error_set(err, ERR_CORRUPT, "zstd: %s", ZSTD_getErrorName(left));
        else if (total > bytes_max)
            ok = over_limit(err, bytes_max);
        else if (dst.pos == 0 && src.pos == before)
            ok = error_set(err, ERR_CORRUPT, "unexpected EOF");
    }
    ZSTD_freeDCtx(d);
    return ok;
}

bool
gzip_decode(enum gzip_format format, struct bytes in, size_t bytes_max, struct buf *out,
            struct error *err)
{
    size_t before = out->n;
    bool ok;

    bytes_max = MIN(bytes_max, SIZE_MAX / 4);
    if (format == GZIP_ZSTD)
        ok = decode_zstd(in, bytes_max, out, err);
    else if (format == GZIP_GZIP)
        ok = decode_whole(in, bytes_max, out) ||
             decode_stream(MAX_WBITS + 16, in, bytes_max, out, err);
    else
        ok = decode_stream(MAX_WBITS, in, bytes_max, out, err);
    if (!ok)
        out->n = before;
    return ok;
}

static void
encode_deflate(bool gzip, struct bytes in, struct buf *out)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(DEFLATE_LEVEL);

    if (c == NULL)
        mem_exhausted(0);
    size_t bound =
        gzip ? libdeflate_gzip_compress_bound(c, in.n) : libdeflate_zlib_compress_bound(c, in.n);
    uint8_t *to = buf_reserve(out, bound);
    out->n += gzip ? libdeflate_gzip_compress(c, in.p, in.n, to, bound)
                   : libdeflate_zlib_compress(c, in.p, in.n, to, bound);
    libdeflate_free_compressor(c);
}

void
gzip_encode(enum gzip_format format, struct bytes in, struct buf *out)
{
    if (format != GZIP_ZSTD) {
        encode_deflate(format == GZIP_GZIP, in, out);
        return;
    }
    size_t bound = ZSTD_compressBound(in.n);
    size_t n = ZSTD_compress(buf_reserve(out, bound), bound, in.p, in.n, ZSTD_LEVEL);
    if (ZSTD_isError(n))
        mem_exhausted(bound); /* the room is enough by ZSTD_compressBound() */
    out->n += n;
}
