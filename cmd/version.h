/* cmd/version.h: what the server says it is. Clients that ask for a version get Prometheus's, whose
 * place we take; our own stands in `revision` and in narthex_build_info. */
#pragma once

#define PROMETHEUS_VERSION "3.14.0"
#define NARTHEX_VERSION    "0.1.0"
#define BUILD_REVISION     "narthex-" NARTHEX_VERSION
#define BUILD_BRANCH       "HEAD"
#define BUILD_USER         "narthex"
#define BUILD_DATE         "20261121"
#define BUILD_COMPILER     "gcc" __VERSION__ /* in place of the Go version */
#define USER_AGENT         "Prometheus/" PROMETHEUS_VERSION
