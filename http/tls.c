#include <gnutls/gnutls.h>

#include "http/server_priv.h"

bool
tls_client_ok(struct MHD_Connection *mhd, enum http_client_auth want)
{
    unsigned nr = 0, status = 0;

    if (want == HTTP_CLIENT_NONE || want == HTTP_CLIENT_REQUEST)
        return true;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info == NULL)
        return false;
    gnutls_session_t session = info->tls_session;
    if (gnutls_certificate_get_peers(session, &nr) == NULL || nr == 0)
        return want == HTTP_CLIENT_VERIFY_IF_GIVEN;
    if (want == HTTP_CLIENT_REQUIRE_ANY)
        return true;
    return gnutls_certificate_verify_peers2(session, &status) >= 0 && status == 0;
}
