import sys; sys.path.insert(0,'/work/main'); sys.path.insert(0,'/tmp/dd')
import plug, pytest
from tests.test_laws import *
@pytest.mark.parametrize("on",["all","synthetic","real"])
@pytest.mark.parametrize("o",[.3,.2,.1])
@pytest.mark.parametrize("d",[24,28])
def test_x(models,pictures,tmp_path,on,o,d):
    run(chain(models,pictures,("filter","duplicates"),on=on,overlap=o,distance=d),tmp_path/"out")
    r=rows(tmp_path/"out").values(); print("RES",on,d,o,[(k,sum(x["kept"] for x in r if x["origin"]==k),sum(not x["kept"] for x in r if x["origin"]==k)) for k in("real","synthetic")],{x["dropped"] for x in r if x["origin"]=="synthetic"})
