# users: ann=restante
# delivery: max_errors=100
# listener: proxy=required proxy_from=127.0.0.1
# behind a proxy: the client of its header is the one that counts
!port lmtp
C: PROXY TCP4 192.0.2.9 127.0.0.1 4711 24
S~ 220 .* LMTP restante
C: LHLO far
S- PIPELINING
C: MAIL FROM:<a@x.org>\r\nRCPT TO:<ann>\r\nDATA
S~ 250 2.1.0.*
S~ 250 2.1.5.*
S~ 354.*
C: Subject: x\r\n\r\n.
S~ 250 2\.0\.0 .*
M~ ann Received: from far \(\[192\.0\.2\.9\]\)\n
C: QUIT
S~ 221 .*
!end
