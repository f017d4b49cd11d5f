# mail: ann=plain
!port stls
# RFC 2595: no login in clear before STLS, CAPA says so, and commands pipelined after STLS are thrown away
S: +OK restante ready
C: CAPA
S. STLS
C: USER ann
S: -ERR a login without encryption is refused: use STLS or the TLS port
C: AUTH PLAIN AGFubgByZXN0YW50ZQ==
S: -ERR a login without encryption is refused: use STLS or the TLS port
C: STLS x
S: -ERR STLS takes no argument
C: STLS
S: +OK begin TLS
!tls
C: CAPA
S. SASL PLAIN LOGIN
C: STLS
S: -ERR the connection is encrypted already
C: PASS restante
S: -ERR USER first
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: RETR 1
S~ \+OK \d+ octets
S. this is a letter.
C: QUIT
S: +OK bye
