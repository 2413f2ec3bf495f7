pytest_plugins=["tests.seaweedfs"]
import time, os
import pytest
from tests.store_rows import *
from steps.lib.store import open_store
from steps.lib.database import open_database, sql
N=1000
@pytest.fixture
def addr(address): return address
def test_small(address, capsys):
    s=open_store(address)
    t=time.time()
    for i in range(N): put_measurement(s, measurement(f"c{i}", attempt=f"a{i}", block=f"b{i//50}", gates=[{"gate":f"g{k}","verdict":"pass","evidence":f"moved {i*k}"} for k in range(12)]))
    w=time.time()-t
    t=time.time(),time.process_time(); open_database(s); a=time.time()-t[0],time.process_time()-t[1]
    t=time.time(); d=open_database(s); b=time.time()-t
    put_measurement(s, measurement("one-more"))
    t=time.time(); d=open_database(s); c=time.time()-t
    t=time.time(); sql(d,"select cell, median(throughput_bits_per_s) from comparable group by all"); q=time.time()-t
    with capsys.disabled(): print(address[:6], 'write/meas',w/N,'first open',a,'second',b,'after one',c,'query',q)
