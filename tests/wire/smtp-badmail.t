# users: ann=restante ben=restante postmaster=restante
# delivery: max_errors=100
# badmail: -
# fault storage: dlv_prepare 1 error TEMP
# fault storage: dlv_commit 1 error DOWN
# fault storage: dlv_write 9 error NOSPACE
# SMTP has one reply for all: mail that a store did not take is kept for another try, durable before the 250
!port smtp
S~ 220 .*
C: EHLO me
S- *
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nRCPT TO:<ben>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\n.
S~ 250 2\.0\.0 delivered.*
B: retry 1
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\n.
S~ 250 2\.0\.0 delivered.*
B: retry 2
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C* 10000 0123456789\r\n
C: .
S~ 250 2\.0\.0 delivered.*
B: retry 3
C: QUIT
S~ 221 .*
!end
M: ann 0
