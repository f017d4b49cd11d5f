/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_line - what makes a line of a ledger sound. Private to the SDK. */
#ifndef SDK_LEDGER_LINE_H
#define SDK_LEDGER_LINE_H

#include <stddef.h>
#include <stdint.h>

#define LEDGER_MAGIC "restante-ledger "
#define LEDGER_HEADER LEDGER_MAGIC "1\n"

/* CRC-32 of IEEE 802.3, of the line after its own digits and a space, without the line's end. */
uint32_t ledger_line_crc(const char *p, size_t n);

#endif
