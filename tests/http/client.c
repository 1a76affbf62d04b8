#include "client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int
client_open(uint16_t port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct timeval limit = { .tv_sec = 20 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT(connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

void
client_send_bytes(int fd, const void *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p = (const char *)p + sent;
        n -= (size_t)sent;
    }
}

void
client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

void
client_read_all(int fd, struct buf *out)
{
    ssize_t n;

    while ((n = recv(fd, buf_reserve(out, 65536), 65536, 0)) > 0)
        out->n += (size_t)n;
    buf_z(out);
}

/* Bytes of the first response in `out`, 0 while it is not complete. */
static size_t
response_bytes(struct buf *out)
{
    const char *text = buf_z(out), *end = strstr(text, "\r\n\r\n");

    if (end == NULL)
        return 0;
    size_t need = (size_t)(end - text) + 4;
    const char *length = strcasestr(text, "\r\nContent-Length: ");
    if (length != NULL && length < end)
        need += strtoull(length + 18, NULL, 10);
    return out->n >= need ? need : 0;
}

unsigned
client_read_response(int fd, struct buf *out)
{
    while (response_bytes(out) == 0) {
        /* Byte by byte near the end would be exact; asking for little keeps a pipelined next
         * response in the socket. */
        ssize_t n = recv(fd, buf_reserve(out, 1), 1, 0);
        if (n <= 0)
            return 0;
        out->n += (size_t)n;
    }
    buf_z(out);
    return (unsigned)strtoul((const char *)out->p + 9, NULL, 10);
}

unsigned
client_get(uint16_t port, const char *method, const char *target, const char *headers,
           const char *request_body, struct buf *head, struct buf *body)
{
    struct buf request = { 0 }, all = { 0 };
    int fd = client_open(port);

    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s", method, target,
               headers);
    if (request_body != NULL)
        buf_printf(&request, "Content-Length: %zu\r\n", strlen(request_body));
    buf_printf(&request, "\r\n%s", request_body == NULL ? "" : request_body);
    client_send_bytes(fd, request.p, request.n);
    client_read_all(fd, &all);
    close(fd);
    buf_reset(head);
    buf_reset(body);
    const char *end = strstr(buf_z(&all), "\r\n\r\n");
    unsigned status = end == NULL ? 0 : (unsigned)strtoul((const char *)all.p + 9, NULL, 10);
    if (end != NULL) {
        size_t n = (size_t)(end - (const char *)all.p) + 4;
        buf_add(head, all.p, n);
        buf_add(body, all.p + n, all.n - n);
    }
    buf_z(head);
    buf_z(body);
    buf_fini(&request);
    buf_fini(&all);
    return status;
}

const char *
client_header(const struct buf *head, const char *name)
{
    static char value[1024];
    char key[128];

    snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = head->n == 0 ? NULL : strcasestr((const char *)head->p, key);
    value[0] = '\0';
    if (at != NULL)
        sscanf(at + strlen(key), "%1023[^\r]", value);
    return value;
}
