#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/server_priv.h"

enum { BACKLOG = 1024 };

/* "host:port", "[::1]:9090", ":9090". */
static bool
split(struct str address, char *host, size_t host_max, char *port, size_t port_max)
{
    size_t colon = address.n;

    while (colon > 0 && address.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return false;
    struct str name = { address.p, colon - 1 }, service = str_skip(address, colon);
    if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = (struct str){ name.p + 1, name.n - 2 };
    if (name.n >= host_max || service.n >= port_max)
        return false;
    snprintf(host, host_max, "%.*s", STR_ARG(name));
    snprintf(port, port_max, "%.*s", STR_ARG(service));
    return true;
}

static int
open_one(const struct addrinfo *ai, bool dual)
{
    int on = 1, off = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, dual ? &off : &on, sizeof on);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int sys = errno;
    close(fd);
    errno = sys;
    return -1;
}

static uint16_t
port_of(int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t n = sizeof sa;

    if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
        return 0;
    return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                          : ((struct sockaddr_in *)&sa)->sin_port);
}

/* Without a host: every address of both families by one socket, or IPv4 alone where there is no
 * IPv6. */
int
listen_open(struct str address, uint16_t *port, struct error *err)
{
    char host[256], service[32];
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *list = NULL;
    int fd = -1;

    if (!split(address, host, sizeof host, service, sizeof service)) {
        error_set(err, ERR_INVALID, "listen tcp: address %.*s: missing port in address",
                  STR_ARG(address));
        return -1;
    }
    bool dual = host[0] == '\0';
    int gai = getaddrinfo(dual ? NULL : host, service, &hints, &list);
    if (gai != 0) {
        error_set(err, ERR_INVALID, "listen tcp %.*s: %s", STR_ARG(address), gai_strerror(gai));
        return -1;
    }
    for (int family = dual ? AF_INET6 : AF_UNSPEC; fd < 0; family = AF_INET) {
        for (struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next)
            if (family == AF_UNSPEC || ai->ai_family == family)
                fd = open_one(ai, dual);
        if (family != AF_INET6)
            break;
    }
    if (fd < 0)
        error_sys(err, "listen tcp %.*s", STR_ARG(address));
    else
        *port = port_of(fd);
    freeaddrinfo(list);
    return fd;
}
