/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_impl - shared by reading (ledger.c) and writing (ledger_write.c) of a ledger. */
#ifndef SDK_LEDGER_IMPL_H
#define SDK_LEDGER_IMPL_H

#include "ledger.h"

#define LEDGER_MAGIC "restante-ledger "
#define LEDGER_HEADER LEDGER_MAGIC "1\n"

/* CRC-32 of IEEE 802.3, of a line without the crc itself, the space after it and the line's end. */
uint32_t ledger_crc(const char *p, size_t n);

#endif
