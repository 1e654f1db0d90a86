/* SPDX-License-Identifier: MIT */

/* SHA256_Init, SHA256_Update and SHA256_Final are meant: docs/decisions/0007-sha256-below-evp.md. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
