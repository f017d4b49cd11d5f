# users: ann=restante
# delivery: max_errors=100
# listener: xclient=192.0.2.7
# STARTTLS forgets everything that was sent in clear, even if it was sent ahead; implicit TLS
!port lmtp
S~ 220 .*
C: LHLO me
S- STARTTLS
C* 1 STARTTLS\r\nLHLO injected\r\nMAIL FROM:<evil@x.org>\r\n
S: 220 2.0.0 go ahead
!tls
C: MAIL FROM:<a@x.org>
S: 503 5.5.1 LHLO first
C: STARTTLS
S: 503 5.5.1 it is encrypted already
C: LHLO me
S- PIPELINING
C: MAIL FROM:<a@x.org>
S~ 250 2.1.0.*
C: RCPT TO:<ann>
S~ 250 2.1.5.*
C: DATA
S~ 354.*
C: Subject: x\r\n\r\n.
S~ 250 2\.0\.0 .*
M~ ann with LMTPS id
C: QUIT
S~ 221 .*
!end
!port lmtps
!again
S~ 220 .* LMTP restante
C: LHLO me
S- PIPELINING
C: QUIT
S~ 221 .*
!end
