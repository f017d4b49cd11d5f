# mail: ann=plain
!port tls
# RFC 8314: TLS from the first octet
S: +OK restante ready
C: CAPA
S. PIPELINING
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: DELE 1
S~ \+OK.*
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 0 messages
C: STAT
S: +OK 0 0
C: LIST
S: +OK 0 messages (0 octets)
S: .
C: UIDL
S~ \+OK.*
S: .
C: RETR 1
S: -ERR no such message
C: QUIT
S: +OK bye
